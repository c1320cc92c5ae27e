# 32-bit ARM Linux, ARMv7 with hardware floating point: Raspberry Pi 2,
# BeagleBone, i.MX6. Debian calls it armhf; ARMv6 boards cannot run it.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(BOARD_TRIPLE arm-linux-gnueabihf)
set(BOARD_EMULATOR qemu-arm-static)
include(${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake)
