/*
 * history.c - rows of an image's history, and what a step shows of itself.
 *
 * Room: build.  Rows have the words that docker's builder writes, because people and programs read them.  The times
 * of rows are filled in at the end (finish.c): a row without a layer has that of the layer before it.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job.h"

#define COMMENT "buildkit.dockerfile.v0"

static int note_row(struct build_site *site, int64_t created_ns) {
    if (site->n_rows == site->cap_rows) {
        site->cap_rows = site->cap_rows == 0 ? 32 : 2 * site->cap_rows;
        site->row_ns = bh_xrealloc(site->row_ns, site->cap_rows * sizeof *site->row_ns);
    }
    site->row_ns[site->n_rows++] = created_ns;
    return 0;
}

int build_history_meta(struct build_site *site, const char *text, struct bh_err *err) {
    const struct bh_history row = {
        .created = "", .created_by = text, .author = "", .comment = COMMENT, .empty_layer = true};

    if (bh_image_config_add_layer(&site->image, NULL, &row, &site->arena, err) != 0)
        return err->code;
    return note_row(site, 0);
}

int build_history_layer(struct build_site *site, const char *text, const struct build_result *r, struct bh_err *err) {
    BH_SCOPE_FREE char *full = bh_xasprintf("%s%s", text, strncmp(text, "WORKDIR ", 8) == 0 ? "" : " # buildkit");
    const struct bh_history row = {
        .created = "", .created_by = full, .author = "", .comment = COMMENT, .empty_layer = !r->has_layer};

    if (bh_image_config_add_layer(&site->image, r->has_layer ? &r->layer : NULL, &row, &site->arena, err) != 0)
        return err->code;
    return note_row(site, r->has_layer ? r->created_ns : 0);
}

/* ---- vertices -------------------------------------------------------------------------------- */

static const char *lookup(void *user, const char *name) {
    return build_scope_get(user, name);
}

/* The instruction as it is written, with the variables that are known. */
static const char *shown_text(struct build_site *site, const struct build_instruction *in) {
    const struct build_expand x = {.escape = site->job->recipe.escape,
                                   .flags =
                                       BUILD_EXPAND_RAW_QUOTES | BUILD_EXPAND_RAW_ESCAPES | BUILD_EXPAND_KEEP_UNSET,
                                   .lookup = lookup,
                                   .user = &site->scope,
                                   .arena = &site->arena};
    struct bh_err ignored = BH_ERR_INIT;
    const char *text = in->text;

    if (build_expand_word(&x, in->text, &text, &ignored) != 0)
        text = in->text;
    return text;
}

static int digits(unsigned n) {
    int d = 1;

    for (; n >= 10; n /= 10)
        d++;
    return d;
}

struct build_vertex_ref build_vertex_begin(struct build_site *site, const struct build_instruction *in,
                                           const char *extra) {
    const char *text = in != NULL ? shown_text(site, in) : "";
    size_t skip = in != NULL && in->name_len <= strlen(text) ? in->name_len : 0;
    BH_SCOPE_FREE char *name = NULL;

    site->command++;
    BH_SCOPE_FREE char *platform =
        site->job->several ? bh_xasprintf("%s ", build_stage_platform(site)) : bh_xstrdup("");
    name = bh_xasprintf("[%s%s%s%*u/%u] %s%s%s", platform, site->label, site->label[0] != '\0' ? " " : "",
                        digits(site->n_commands), site->command, site->n_commands,
                        in != NULL ? build_op_name(in->op) : "", text + skip, extra);
    return build_vertex_new(site->job->progress, name, site->label, true);
}
