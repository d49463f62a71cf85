# The room bulkhead-runtime.  The core is a library so that unit tests reach it; generated message types are
# seen by the *_rpc.c files alone.
file(GLOB rt_room_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
list(REMOVE_ITEM rt_room_sources ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
bh_library(bh_rt_room SOURCES ${rt_room_sources}
  LINK bh_base bh_conf bh_layer bh_oci bh_imageconf bh_proc bh_rpc bh_proto bh_rt_wire PkgConfig::sqlite3 Threads::Threads)
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/main.c)
  bh_program(bulkhead-runtime SOURCES main.c LINK bh_rt_room bh_serve bh_nng_compat LIBEXEC)
endif()
