/*
 * platform.c - see platform.h.  Owns the names of processors and their order of variants.
 * Room: every room that chooses an image.  The text may come from an image: it is bounded here
 * and never used as a path.  Pure but for uname.
 */
#include "oci/platform.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "base/str.h"

static const struct {
    const char *given;
    const char *arch;
    const char *variant;
} aliases[] = {
    {"x86_64", "amd64", ""},      {"x86-64", "amd64", ""},
    {"i386", "386", ""},          {"i486", "386", ""},
    {"i586", "386", ""},          {"i686", "386", ""},
    {"aarch64", "arm64", ""},     {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},       {"armv5l", "arm", "v5"},
    {"armv6l", "arm", "v6"},      {"armv7l", "arm", "v7"},
    {"armv8l", "arm", "v8"},      {"loongarch64", "loong64", ""},
    {"mips64el", "mips64le", ""},
};

static const char *const known_archs[] = {"amd64",   "386",  "arm",    "arm64",  "ppc64",    "ppc64le", "s390x",
                                          "riscv64", "mips", "mipsle", "mips64", "mips64le", "loong64", "wasm"};

static bool is_known_arch(const char *s) {
    for (size_t i = 0; i < BH_ARRAY_LEN(known_archs); i++) {
        if (strcmp(s, known_archs[i]) == 0)
            return true;
    }
    return false;
}

static bool is_known_os(const char *s) {
    static const char *const known[] = {"linux", "windows", "darwin",  "macos", "freebsd", "netbsd",    "openbsd",
                                        "plan9", "solaris", "illumos", "aix",   "android", "dragonfly", "hurd",
                                        "ios",   "js",      "nacl",    "zos",   "wasi",    "wasip1"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++) {
        if (strcasecmp(s, known[i]) == 0)
            return true;
    }
    return false;
}

static void lower(char *s) {
    for (; *s != '\0'; s++) {
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s | 0x20);
    }
}

void bh_platform_normalize(struct bh_platform *p) {
    lower(p->os);
    lower(p->arch);
    lower(p->variant);
    if (strcmp(p->os, "macos") == 0)
        bh_str_copy(p->os, sizeof p->os, "darwin");
    for (size_t i = 0; i < BH_ARRAY_LEN(aliases); i++) {
        if (strcmp(p->arch, aliases[i].given) != 0)
            continue;
        bh_str_copy(p->arch, sizeof p->arch, aliases[i].arch);
        if (p->variant[0] == '\0')
            bh_str_copy(p->variant, sizeof p->variant, aliases[i].variant);
        break;
    }
    if (p->variant[0] >= '0' && p->variant[0] <= '9') { /* "7" means "v7" */
        memmove(p->variant + 1, p->variant, sizeof p->variant - 2);
        p->variant[0] = 'v';
        p->variant[sizeof p->variant - 1] = '\0';
    }
    if (strcmp(p->arch, "arm64") == 0 && strcmp(p->variant, "v8") == 0)
        p->variant[0] = '\0';
    if (strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0)
        p->variant[0] = '\0';
    if (strcmp(p->arch, "arm") == 0 && p->variant[0] == '\0')
        bh_str_copy(p->variant, sizeof p->variant, "v7");
}

void bh_platform_host(struct bh_platform *out) {
    struct utsname u;

    *out = (struct bh_platform){.os = "linux"};
    if (uname(&u) != 0 || !bh_str_copy(out->arch, sizeof out->arch, u.machine))
        bh_str_copy(out->arch, sizeof out->arch, "unknown");
    bh_platform_normalize(out);
}

static int refuse(struct bh_err *err, const char *text) {
    bh_err_set(err, BH_E_INVALID, "platform \"%.64s\": expected os/architecture[/variant]", text);
    bh_err_hint(err, "for example linux/amd64 or linux/arm/v7");
    return bh_err_reason(err, "invalid-platform");
}

static bool piece_valid(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = (char)(s[i] | 0x20);

        if (!(c >= 'a' && c <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '_' && s[i] != '-' && s[i] != '.')
            return false;
    }
    return n > 0 && n < sizeof((struct bh_platform *)0)->os;
}

/* Split at slashes into at most three checked pieces; their count, or 0. */
static size_t split(const char *text, char piece[3][32]) {
    size_t count = 0;

    for (;;) {
        size_t n = strcspn(text, "/");

        if (count == 3 || !piece_valid(text, n))
            return 0;
        bh_str_copy_n(piece[count++], 32, text, n);
        if (text[n] == '\0')
            return count;
        text += n + 1;
    }
}

int bh_platform_parse(const char *text, struct bh_platform *out, struct bh_err *err) {
    char piece[3][32];
    size_t count = split(text, piece);
    struct bh_platform p, one = {0};

    if (count == 0)
        return refuse(err, text);
    bh_platform_host(&p);
    if (count == 1) {
        bh_str_copy(one.arch, sizeof one.arch, piece[0]);
        bh_platform_normalize(&one);
        if (!is_known_arch(one.arch)) {
            if (!is_known_os(piece[0])) {
                bh_err_set(err, BH_E_INVALID, "platform \"%.64s\": unknown operating system or architecture", text);
                return bh_err_reason(err, "invalid-platform");
            }
            bh_str_copy(p.os, sizeof p.os, piece[0]);
        } else {
            bh_str_copy(p.arch, sizeof p.arch, one.arch);
            bh_str_copy(p.variant, sizeof p.variant, one.variant);
        }
    } else {
        p = (struct bh_platform){0};
        bh_str_copy(p.os, sizeof p.os, piece[0]);
        bh_str_copy(p.arch, sizeof p.arch, piece[1]);
        if (count == 3)
            bh_str_copy(p.variant, sizeof p.variant, piece[2]);
    }
    bh_platform_normalize(&p);
    *out = p;
    return 0;
}

void bh_platform_format(const struct bh_platform *p, char out[BH_PLATFORM_TEXT_SIZE]) {
    snprintf(out, BH_PLATFORM_TEXT_SIZE, "%s/%s%s%s", p->os, p->arch, p->variant[0] ? "/" : "", p->variant);
}

/* "v7" -> 7; no variant is level 1 of amd64, 8 of arm64; -1 for other words. */
static int level(const struct bh_platform *p) {
    if (p->variant[0] == '\0')
        return strcmp(p->arch, "amd64") == 0 ? 1 : strcmp(p->arch, "arm64") == 0 ? 8 : 0;
    if (p->variant[0] == 'v' && p->variant[1] >= '1' && p->variant[1] <= '9' && p->variant[2] == '\0')
        return p->variant[1] - '0';
    return -1;
}

int bh_platform_rank(const struct bh_platform *want, const struct bh_platform *have) {
    struct bh_platform w = *want, h = *have;
    int wl, hl, least;

    bh_platform_normalize(&w);
    bh_platform_normalize(&h);
    if (strcmp(w.os, h.os) != 0 || strcmp(w.arch, h.arch) != 0)
        return -1;
    if (strcmp(w.variant, h.variant) == 0)
        return 0;
    if (strcmp(w.arch, "arm") == 0)
        least = 5;
    else if (strcmp(w.arch, "amd64") == 0)
        least = 1;
    else if (strcmp(w.arch, "arm64") == 0)
        least = 8;
    else
        return -1;
    wl = level(&w);
    hl = level(&h);
    return hl >= least && wl >= hl ? wl - hl : -1;
}

long bh_platform_choose(const struct bh_platform *want, const struct bh_platform *const *list, size_t n) {
    long best = -1;
    int best_rank = 0;

    for (size_t i = 0; i < n; i++) {
        int rank = list[i] != NULL ? bh_platform_rank(want, list[i]) : -1;

        if (rank >= 0 && (best < 0 || rank < best_rank)) {
            best = (long)i;
            best_rank = rank;
        }
    }
    return best;
}
