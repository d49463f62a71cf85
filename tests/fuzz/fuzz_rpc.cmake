# Frames of a hostile client: parser and dispatcher, with a transport of the target's own.
if(TARGET rpc_echo_proto)
  bh_fuzz(fuzz_frame SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_frame.c LINK bh_rpc rpc_echo_proto)
endif()
