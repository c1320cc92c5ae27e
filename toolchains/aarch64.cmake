# 64-bit ARM Linux: Raspberry Pi 3 and later, i.MX8, most gateways.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(BOARD_TRIPLE aarch64-linux-gnu)
set(BOARD_EMULATOR qemu-aarch64-static)
include(${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake)
