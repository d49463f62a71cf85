/*
 * cmd_pull.c - `pull`, and the pull that `run` and `create` make on their own.
 *
 * Room: client.
 */
#include "cli/cmd_pull.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/transfer_view.h"

const struct cli_opt cmd_pull_opts[] = {
    {.name = "all-tags", .letter = 'a', .kind = CLI_BOOL, .help = "Pull all tagged images of the repository"},
    {.name = "disable-content-trust", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Skip image verification"},
    {.name = "jobs", .kind = CLI_INT, .help = "Fetch so many layers at once", .def = "0"},
    {.name = "platform", .kind = CLI_STRING, .help = "Pull this platform, as OS/ARCH[/VARIANT]"},
    {.name = "policy",
     .kind = CLI_STRING,
     .help = "When to pull",
     .def = "always",
     .complete = "always|missing|newer|never"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|json"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Print only the names of the images"},
    {0},
};

static bulkhead_value *request_of(const char *const *names, size_t n, const char *platform, bulkhead_value *remote) {
    bulkhead_value *request = bulkhead_map_new(), *list = bulkhead_list_new();

    for (size_t i = 0; i < n; i++)
        bulkhead_add_str(list, names[i]);
    bulkhead_set(request, "reference", list);
    bulkhead_set_str(request, "platform", platform);
    bulkhead_set(request, "remote", remote);
    return request;
}

static int jobs_of(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request) {
    int64_t jobs = cli_int(args, "jobs");

    if (jobs < 0 || jobs > 64)
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "invalid argument \"%lld\" for \"--jobs\" flag: 1 to 64",
                         (long long)jobs);
    bulkhead_set_uint(request, "jobs", (uint64_t)jobs);
    return 0;
}

static bool is_policy(const char *word) {
    static const char *const words[] = {"always", "missing", "newer", "never"};

    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* With -a the repository stands for its tags, as docker has it. */
static void put_names(struct cli_ctx *ctx, const struct cli_transfer_view *view, bool all_tags) {
    char last[BH_REF_TEXT_SIZE] = "", name[BH_REF_TEXT_SIZE];

    for (size_t i = 0; i < view->n_done; i++) {
        struct bh_err ignored = BH_ERR_INIT;
        struct bh_ref ref;

        bh_str_copy(name, sizeof name, view->done[i]);
        if (all_tags && bh_ref_parse(view->done[i], &ref, &ignored) == 0)
            bh_ref_name(&ref, name);
        if (all_tags && strcmp(name, last) == 0)
            continue;
        bh_str_copy(last, sizeof last, name);
        cli_put_word(ctx->out, name);
        cli_put(ctx->out, "\n");
    }
}

int cmd_pull(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *const *names = (const char *const *)args->operands;
    struct bh_err err = BH_ERR_INIT;
    struct cli_transfer_view view;
    enum cli_progress_mode mode;
    bulkhead_value *remote, *request;
    int status;

    if (cli_progress_mode_parse(cli_str(args, "progress"), &mode, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (!is_policy(cli_str(args, "policy")))
        return cli_failf(ctx->out, CLI_EXIT_USAGE,
                         "invalid argument \"%.80s\" for \"--policy\" flag: use always, missing, newer or never",
                         cli_str(args, "policy"));
    if (cli_bool(args, "quiet"))
        mode = CLI_PROGRESS_QUIET;
    status = cli_remote_make(ctx, args, CLI_REMOTE_PULL, names, (size_t)args->operand_count, &remote);
    if (status != 0)
        return status;
    request = request_of(names, (size_t)args->operand_count, cli_str(args, "platform"), remote);
    bulkhead_set_bool(request, "all_tags", cli_bool(args, "all-tags"));
    bulkhead_set_str(request, "policy", cli_str(args, "policy"));
    status = jobs_of(ctx, args, request);
    if (status != 0) {
        bulkhead_value_free(request);
        return status;
    }
    cli_transfer_view_init(&view, ctx, mode, false);
    status = cli_transfer_run(&view, "Pull", request);
    if (mode != CLI_PROGRESS_JSON)
        put_names(ctx, &view, cli_bool(args, "all-tags"));
    cli_transfer_view_fini(&view);
    return status;
}

/* What is here now, when that is not the name as it was written. */
static char *other_name(const struct cli_transfer_view *view, const struct bh_ref *written) {
    const char *have = view->n_done > 0 ? view->done[view->n_done - 1] : NULL;
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;

    if (have == NULL || bh_ref_parse(have, &ref, &ignored) != 0 || bh_ref_same_name(written, &ref))
        return NULL;
    return bh_xstrdup(have);
}

int cli_pull_for_run(struct cli_ctx *ctx, const struct cli_pull_for_run *ask, char **out_name) {
    struct bh_err ignored = BH_ERR_INIT;
    struct cli_transfer_view view;
    char tagged[BH_REF_TEXT_SIZE];
    const char *asked = ask->name;
    bulkhead_value *remote, *request;
    struct bh_ref ref = {.domain = ""};
    int status;

    *out_name = NULL;
    if (bh_ref_parse_tagged(ask->name, &ref, &ignored) == 0) { /* the tag has been told: no line about it */
        bh_ref_familiar(&ref, tagged);
        asked = tagged;
    }
    if ((status = cli_remote_default(ctx, asked, &remote)) != 0)
        return status;
    cli_transfer_view_init(&view, ctx, ask->quiet ? CLI_PROGRESS_QUIET : CLI_PROGRESS_AUTO, true);
    request = request_of(&asked, 1, ask->platform, remote);
    if (ask->missing)
        bulkhead_set_str(request, "policy", "missing");
    status = cli_transfer_run(&view, "Pull", request);
    if (status == 0)
        *out_name = other_name(&view, &ref);
    cli_transfer_view_fini(&view);
    return status;
}
