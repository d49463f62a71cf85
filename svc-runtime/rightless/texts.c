/*
 * texts.c - /etc/hosts, /etc/hostname and /etc/resolv.conf of a container.
 *
 * Room: a child of launch without rights.  The host's own hosts and resolv.conf, which everybody may
 * read, are copied with --network host and as the base of a resolver.
 */
#include <fcntl.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "rightless/bundle.h"

static void add_host_file(struct bh_buf *b, const char *path) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;

    if (bh_file_read(AT_FDCWD, path, 65536, &text, &ignored) == 0)
        bh_buf_add(b, bh_buf_str(&text), text.len);
    if (b->len > 0 && b->data[b->len - 1] != '\n')
        bh_buf_addc(b, '\n');
}

static void hosts_text(const struct rt_spec *s, struct bh_buf *b) {
    if (s->flags & RT_NET_HOST) {
        add_host_file(b, "/etc/hosts");
    } else {
        bh_buf_adds(b, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
                       "ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
        if (s->hostname[0] != 0)
            bh_buf_addf(b, "127.0.0.1\t%s%s%s%s%s\n", s->hostname, s->domainname[0] != 0 ? "." : "", s->domainname,
                        s->domainname[0] != 0 ? " " : "", s->domainname[0] != 0 ? s->hostname : "");
    }
    for (uint32_t i = 0; i < s->extra_hosts.n; i++) {
        const char *colon = strchr(s->extra_hosts.item[i], ':');

        if (colon != NULL)
            bh_buf_addf(b, "%s\t%.*s\n", colon + 1, (int)(colon - s->extra_hosts.item[i]), s->extra_hosts.item[i]);
    }
}

static void add_words(struct bh_buf *b, const char *key, const struct rt_strings *words) {
    if (words->n == 0)
        return;
    bh_buf_adds(b, key);
    for (uint32_t i = 0; i < words->n; i++)
        bh_buf_addf(b, " %s", words->item[i]);
    bh_buf_addc(b, '\n');
}

static void resolv_text(const struct rt_spec *s, struct bh_buf *b) {
    if (s->dns.n == 0 && s->dns_search.n == 0 && s->dns_option.n == 0) {
        add_host_file(b, "/etc/resolv.conf");
        return;
    }
    for (uint32_t i = 0; i < s->dns.n; i++)
        bh_buf_addf(b, "nameserver %s\n", s->dns.item[i]);
    add_words(b, "search", &s->dns_search);
    add_words(b, "options", &s->dns_option);
}

void lnc_texts_write(const struct rt_spec *spec, struct lnc_texts *out) {
    *out = (struct lnc_texts){BH_BUF_INIT, BH_BUF_INIT, BH_BUF_INIT};
    hosts_text(spec, &out->hosts);
    bh_buf_addf(&out->hostname, "%s\n", spec->hostname);
    resolv_text(spec, &out->resolv);
}
