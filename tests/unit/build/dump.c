/*
 * dump.c - see dump.h.
 */
#include "dump.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void add_words(const char *what, const struct build_words *words, struct bh_buf *out) {
    bh_buf_addf(out, " %s|", what);
    for (size_t i = 0; i < words->n; i++)
        bh_buf_addf(out, "%s|", words->v[i].s);
}

static void add_word(const char *what, const struct build_word *word, struct bh_buf *out) {
    if (word->s != NULL)
        bh_buf_addf(out, " %s=%s", what, word->s);
}

static void add_heredocs(const struct build_heredocs *docs, struct bh_buf *out) {
    for (size_t i = 0; i < docs->n; i++) {
        const struct build_heredoc *d = &docs->v[i];

        bh_buf_addf(out, " <%u%s%s:%s:%s>", d->fd, d->strip_tabs ? "-" : "", d->expand ? "" : "'", d->name, d->text);
    }
}

static void add_command(const struct build_command *c, struct bh_buf *out) {
    add_words(c->exec ? "exec" : "sh", &c->args, out);
}

static void add_run(const struct build_run *run, struct bh_buf *out) {
    static const char *const networks[] = {"", " network=none", " network=host"};

    add_command(&run->command, out);
    bh_buf_adds(out, networks[run->network]);
    bh_buf_adds(out, run->insecure ? " insecure" : "");
    for (size_t i = 0; i < run->n_mounts; i++) {
        bh_buf_adds(out, " mount");
        for (size_t k = 0; k < run->mounts[i].fields.n; k++) {
            const struct build_pair *f = &run->mounts[i].fields.v[k];

            bh_buf_addf(out, ",%s=%s", f->key.s, f->value.s != NULL ? f->value.s : "(none)");
        }
    }
    add_heredocs(&run->heredocs, out);
    if (run->heredocs.n > 0)
        bh_buf_addf(out, " script%s=%s", run->shebang ? "!" : "", run->script);
}

static void add_copy(const struct build_copy *c, struct bh_buf *out) {
    add_word("from", &c->from, out);
    add_word("chown", &c->chown, out);
    add_word("chmod", &c->chmod, out);
    add_word("checksum", &c->checksum, out);
    bh_buf_addf(out, "%s%s", c->link ? " link" : "", c->parents ? " parents" : "");
    if (c->has_keep_git_dir)
        bh_buf_addf(out, " git=%d", c->keep_git_dir);
    if (c->has_unpack)
        bh_buf_addf(out, " unpack=%d", c->unpack);
    if (c->exclude.n > 0)
        add_words("exclude", &c->exclude, out);
    add_words("", &c->sources, out);
    add_heredocs(&c->files, out);
    bh_buf_addf(out, " -> %s", c->dest.s);
}

static void add_pairs(const struct build_pairs *pairs, struct bh_buf *out) {
    for (size_t i = 0; i < pairs->n; i++) {
        const struct build_pair *p = &pairs->v[i];

        bh_buf_addf(out, " [%s%s%s]", p->key.s,
                    p->legacy            ? " "
                    : p->value.s != NULL ? "="
                                         : "",
                    p->value.s != NULL ? p->value.s : "");
    }
}

static void add_health(const struct build_health *h, struct bh_buf *out) {
    if (h->none) {
        bh_buf_adds(out, " none");
        return;
    }
    add_command(&h->command, out);
    bh_buf_addf(out, " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, h->interval_ns, h->timeout_ns,
                h->start_period_ns, h->start_interval_ns, h->retries);
}

void dump_instruction(const struct build_instruction *in, struct bh_buf *out) {
    bh_buf_adds(out, build_op_name(in->op));
    switch (in->op) {
    case BUILD_FROM:
        add_word("base", &in->from.base, out);
        add_word("platform", &in->from.platform, out);
        add_word("name", &in->from.name, out);
        break;
    case BUILD_RUN:
        add_run(&in->run, out);
        break;
    case BUILD_COPY:
    case BUILD_ADD:
        add_copy(&in->copy, out);
        break;
    case BUILD_CMD:
    case BUILD_ENTRYPOINT:
    case BUILD_SHELL:
        add_command(&in->command, out);
        break;
    case BUILD_ENV:
    case BUILD_LABEL:
    case BUILD_ARG:
        add_pairs(&in->pairs, out);
        break;
    case BUILD_EXPOSE:
    case BUILD_VOLUME:
        add_words("", &in->words, out);
        break;
    case BUILD_HEALTHCHECK:
        add_health(&in->health, out);
        break;
    case BUILD_ONBUILD:
        bh_buf_addf(out, " |%s|", in->onbuild.text);
        break;
    default:
        bh_buf_addf(out, " |%s|", in->word.s);
        break;
    }
    bh_buf_addc(out, '\n');
}

void dump_recipe(const struct build_recipe *r, struct bh_buf *out) {
    for (size_t i = 0; i < r->n_global_args; i++)
        dump_instruction(r->global_args[i], out);
    for (size_t i = 0; i < r->n_stages; i++) {
        dump_instruction(r->stages[i].from, out);
        for (size_t k = 0; k < r->stages[i].n; k++)
            dump_instruction(r->stages[i].v[k], out);
    }
}

void dump_notes(const struct build_notes *notes, struct bh_buf *out) {
    for (size_t i = 0; i < notes->n; i++) {
        const struct build_note *n = &notes->v[i];

        bh_buf_addf(out, "%u:%u+%u %s", n->line, n->column, n->length, n->code);
        if (n->suggestion[0] != '\0')
            bh_buf_addf(out, " (%s)", n->suggestion);
        bh_buf_addc(out, '\n');
    }
}

void expect_notes(const char *text, const struct build_notes *notes, const char *want, const char *message) {
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;

    dump_notes(notes, &got);
    if (strcmp(bh_buf_str(&got), want) != 0)
        fail_msg("---\n%s\n--- gives\n%s--- expected\n%s", text, bh_buf_str(&got), want);
    if (message != NULL)
        assert_string_equal(notes->v[0].message, message);
}
