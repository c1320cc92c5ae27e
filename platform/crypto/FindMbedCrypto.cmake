# Finds libmbedcrypto, mbed TLS's cryptography without its TLS, 2.28 or 3.x, as
# MbedCrypto::MbedCrypto. Distributions ship neither a pkg-config file nor, some
# of them, a CMake package for it. In a cross build the toolchain file's
# CMAKE_FIND_ROOT_PATH decides where it is looked for.
find_path(MbedCrypto_INCLUDE_DIR mbedtls/md.h)
find_library(MbedCrypto_LIBRARY mbedcrypto)
mark_as_advanced(MbedCrypto_INCLUDE_DIR MbedCrypto_LIBRARY)

# 3.x moved the version to build_info.h.
foreach(header build_info.h version.h)
  if(MbedCrypto_INCLUDE_DIR AND NOT MbedCrypto_VERSION
      AND EXISTS ${MbedCrypto_INCLUDE_DIR}/mbedtls/${header})
    file(STRINGS ${MbedCrypto_INCLUDE_DIR}/mbedtls/${header} version
      REGEX "MBEDTLS_VERSION_STRING +\"")
    string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" MbedCrypto_VERSION "${version}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MbedCrypto
  REQUIRED_VARS MbedCrypto_LIBRARY MbedCrypto_INCLUDE_DIR
  VERSION_VAR MbedCrypto_VERSION)

if(MbedCrypto_FOUND AND NOT TARGET MbedCrypto::MbedCrypto)
  # Global: the target that links it is defined in another folder.
  add_library(MbedCrypto::MbedCrypto UNKNOWN IMPORTED GLOBAL)
  set_target_properties(MbedCrypto::MbedCrypto PROPERTIES
    IMPORTED_LOCATION "${MbedCrypto_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${MbedCrypto_INCLUDE_DIR}")
endif()
