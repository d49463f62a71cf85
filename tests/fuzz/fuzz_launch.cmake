# Foreign bytes on the way to root: a specification from runtime, a layer's index from the store.
bh_fuzz(fuzz_spec SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_spec.c LINK bh_rt_wire bh_base)
bh_fuzz(fuzz_erofs_verify SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_erofs_verify.c LINK bh_rightless bh_layer bh_base)
bh_fuzz(fuzz_passwd SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_passwd.c LINK bh_rightless bh_rt_wire bh_base)
