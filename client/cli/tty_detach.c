/*
 * tty_detach.c - the keys that leave a container running, found in what is typed.
 *
 * Room: client.  Pure.  Bytes that are held back because they began like the keys are given out as
 * soon as the next byte shows that they were not.
 */
#include "cli/tty.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

/* One key between commas. */
static bool parse_key(const char *s, size_t n, unsigned char *out) {
    char c = n == 6 ? s[5] : '\0';

    if (n == 1 && s[0] != ',') {
        *out = (unsigned char)s[0];
        return true;
    }
    if (n != 6 || strncasecmp(s, "ctrl-", 5) != 0)
        return false;
    if (c >= 'A' && c <= 'Z')
        c = (char)(c + 32);
    if (c >= 'a' && c <= 'z')
        *out = (unsigned char)(c - 'a' + 1);
    else if (c == '@')
        *out = 0;
    else if (c >= '[' && c <= '_')
        *out = (unsigned char)(c - '[' + 27);
    else
        return false;
    return true;
}

int cli_detach_parse(const char *keys, struct cli_detach *out, struct bh_err *err) {
    struct cli_detach d = {.key_count = 0};

    for (const char *p = keys; *p || p != keys;) {
        size_t n = strcspn(p, ",");

        if (d.key_count == CLI_DETACH_MAX)
            return bh_err_set(err, BH_E_INVALID, "detach keys: more than %d keys", CLI_DETACH_MAX);
        if (!parse_key(p, n, &d.keys[d.key_count])) {
            bh_err_set(err, BH_E_INVALID, "invalid detach keys (%.80s): unknown key '%.*s'", keys, n > 40 ? 40 : (int)n,
                       p);
            return bh_err_hint(err, "use single characters or ctrl-X, with commas between");
        }
        d.key_count++;
        p += n;
        if (*p == '\0')
            break;
        p++;
    }
    *out = d;
    return 0;
}

/* The longest beginning of the keys that the held bytes and c end with. */
static size_t next_seen(const struct cli_detach *d, unsigned char c) {
    unsigned char held[CLI_DETACH_MAX + 1];
    size_t n = d->seen;

    memcpy(held, d->keys, n);
    held[n++] = c;
    for (size_t k = n < d->key_count ? n : d->key_count; k > 0; k--)
        if (memcmp(held + n - k, d->keys, k) == 0)
            return k;
    return 0;
}

bool cli_detach_feed(struct cli_detach *d, const unsigned char *in, size_t n, unsigned char *out, size_t *out_n) {
    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        size_t seen = d->key_count ? next_seen(d, in[i]) : 0;
        size_t give = d->key_count ? d->seen + 1 - seen : 0;

        if (d->key_count == 0) {
            out[(*out_n)++] = in[i];
            continue;
        }
        /* What falls out at the front are held keys, and at last the new byte. */
        for (size_t k = 0; k < give; k++)
            out[(*out_n)++] = k < d->seen ? d->keys[k] : in[i];
        d->seen = seen;
        if (seen == d->key_count) {
            d->seen = 0;
            return true;
        }
    }
    return false;
}
