/*
 * sha256.c - see sha256.h.
 *
 * Room: client.  One thread only.
 */
#include "cli/sha256.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define LIBRARY   "libcrypto.so.3"
#define READ_STEP ((size_t)256 << 10)

/* The part of OpenSSL 3 that is used, as its evp.h declares it. */
static struct {
    void *(*ctx_new)(void);
    void (*ctx_free)(void *);
    const void *(*sha256)(void);
    int (*init)(void *, const void *, void *);
    int (*update)(void *, const void *, size_t);
    int (*final)(void *, unsigned char *, unsigned *);
    void *ctx; /* made once, reset for each hash */
} evp;

static int load(struct bh_err *err) {
    void *lib;

    if (evp.ctx != NULL)
        return 0;
    lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        bh_err_set(err, BH_E_UNAVAILABLE, "hash the context: %s", dlerror());
        return bh_err_hint(err, "install OpenSSL's library (Debian: libssl3)");
    }
    /* POSIX gives functions as data pointers; this is its way to store them */
    *(void **)&evp.ctx_new = dlsym(lib, "EVP_MD_CTX_new");
    *(void **)&evp.ctx_free = dlsym(lib, "EVP_MD_CTX_free");
    *(void **)&evp.sha256 = dlsym(lib, "EVP_sha256");
    *(void **)&evp.init = dlsym(lib, "EVP_DigestInit_ex");
    *(void **)&evp.update = dlsym(lib, "EVP_DigestUpdate");
    *(void **)&evp.final = dlsym(lib, "EVP_DigestFinal_ex");
    if (evp.ctx_new == NULL || evp.sha256 == NULL || evp.init == NULL || evp.update == NULL || evp.final == NULL ||
        (evp.ctx = evp.ctx_new()) == NULL)
        return bh_err_set(err, BH_E_UNAVAILABLE, "hash the context: %s has not what is needed", LIBRARY);
    return 0;
}

static int failed(struct bh_err *err) {
    return bh_err_set(err, BH_E_INTERNAL, "hash the context: the crypto library failed");
}

int cli_sha256(const void *data, size_t n, unsigned char out[CLI_SHA256_SIZE], struct bh_err *err) {
    unsigned size;

    if (load(err) != 0)
        return err->code;
    if (evp.init(evp.ctx, evp.sha256(), NULL) != 1 || evp.update(evp.ctx, data, n) != 1 ||
        evp.final(evp.ctx, out, &size) != 1)
        return failed(err);
    return 0;
}

int cli_sha256_fd(int fd, const char *what, unsigned char out[CLI_SHA256_SIZE], uint64_t *out_size,
                  struct bh_err *err) {
    static unsigned char *block; /* kept: a context has many files */
    unsigned size;
    uint64_t total = 0;
    ssize_t n;

    if (load(err) != 0)
        return err->code;
    if (block == NULL)
        block = bh_xmalloc(READ_STEP);
    if (evp.init(evp.ctx, evp.sha256(), NULL) != 1)
        return failed(err);
    for (;;) {
        do
            n = read(fd, block, READ_STEP);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return bh_err_errno(err, errno, "read %s", what);
        if (n == 0)
            break;
        if (evp.update(evp.ctx, block, (size_t)n) != 1)
            return failed(err);
        total += (uint64_t)n;
    }
    if (evp.final(evp.ctx, out, &size) != 1)
        return failed(err);
    *out_size = total;
    return 0;
}
