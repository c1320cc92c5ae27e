# What the Linux boards share: Debian's cross GCC, an unpacked sysroot, and an
# emulator for the tests. A board's file sets the first three names below and
# includes this one:
#   CMAKE_SYSTEM_PROCESSOR  the board's `uname -m`
#   BOARD_TRIPLE            the prefix of its compiler
#   BOARD_EMULATOR          the program that runs its binaries here
#   BOARD_SYSROOT           optional: its libraries; by default the directory
#                           that toolchains/sysroot.sh makes
set(CMAKE_SYSTEM_NAME Linux)
# try_compile reads the board's file again and must find the same sysroot.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BOARD_SYSROOT)

if(NOT BOARD_SYSROOT)
  if(DEFINED ENV{EDDY_SYSROOTS})
    set(BOARD_SYSROOT "$ENV{EDDY_SYSROOTS}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(BOARD_SYSROOT "$ENV{XDG_CACHE_HOME}/eddy/sysroots")
  else()
    set(BOARD_SYSROOT "$ENV{HOME}/.cache/eddy/sysroots")
  endif()
  get_filename_component(BOARD_NAME "${CMAKE_TOOLCHAIN_FILE}" NAME_WE)
  string(APPEND BOARD_SYSROOT "/${BOARD_NAME}")
  set(BOARD_SYSROOT "${BOARD_SYSROOT}" CACHE PATH "The target's unpacked libraries")
endif()
if(NOT IS_DIRECTORY "${BOARD_SYSROOT}/usr/include")
  message(FATAL_ERROR "No sysroot in ${BOARD_SYSROOT}: "
    "make it with toolchains/sysroot.sh, or set BOARD_SYSROOT")
endif()

set(CMAKE_C_COMPILER ${BOARD_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${BOARD_TRIPLE}-g++)
set(CMAKE_SYSROOT "${BOARD_SYSROOT}")
set(CMAKE_LIBRARY_ARCHITECTURE ${BOARD_TRIPLE})
set(CMAKE_CROSSCOMPILING_EMULATOR ${BOARD_EMULATOR} -L "${BOARD_SYSROOT}")

# Programs from this machine; libraries, headers and packages from the target.
set(CMAKE_FIND_ROOT_PATH "${BOARD_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${BOARD_SYSROOT}")
set(ENV{PKG_CONFIG_LIBDIR}
  "${BOARD_SYSROOT}/usr/lib/${BOARD_TRIPLE}/pkgconfig:${BOARD_SYSROOT}/usr/share/pkgconfig")
