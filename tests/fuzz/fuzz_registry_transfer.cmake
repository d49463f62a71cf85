# What registries send: the bytes of blobs.
bh_fuzz(fuzz_body SOURCES fuzz_body.c LINK bh_registry)
