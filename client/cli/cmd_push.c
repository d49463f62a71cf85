/*
 * cmd_push.c - `push`.
 *
 * Room: client.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/transfer_view.h"

const struct cli_opt cmd_push_opts[] = {
    {.name = "all-tags", .letter = 'a', .kind = CLI_BOOL, .help = "Push all tags of the repository"},
    {.name = "compression",
     .kind = CLI_STRING,
     .help = "Compress layers that are made here so",
     .complete = "gzip|zstd"},
    {.name = "compression-level", .kind = CLI_INT, .help = "Level of the compression", .def = "0"},
    {.name = "digestfile",
     .kind = CLI_STRING,
     .help = "Write the digest of the pushed image into this file",
     .metavar = "file",
     .complete = "file"},
    {.name = "disable-content-trust", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Skip image signing"},
    {.name = "force-compression", .kind = CLI_BOOL, .help = "Compress anew what has a compressed form already"},
    {.name = "jobs", .kind = CLI_INT, .help = "Send so many layers at once", .def = "0"},
    {.name = "platform", .kind = CLI_STRING, .help = "Push this platform only, as OS/ARCH[/VARIANT]"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|json"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Print only the names of the images"},
    {0},
};

/* Names of one repository that are here: -a pushes each. */
static int tags_here(struct cli_ctx *ctx, const char *repository, bulkhead_value *list) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    char prefix[BH_REF_TEXT_SIZE];
    struct bh_ref ref;
    struct bh_err err = BH_ERR_INIT;
    int status;

    if (bh_ref_parse(repository, &ref, &err) != 0) {
        bulkhead_value_free(request);
        return cli_fail(ctx->out, &err);
    }
    if (ref.tag[0] != '\0' || ref.digest[0] != '\0') {
        bulkhead_value_free(request);
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "tag can't be used with --all-tags/-a");
    }
    bh_ref_familiar_name(&ref, prefix);
    bulkhead_set_str(request, "match", prefix);
    status = cli_call_take(ctx, "store", "ImageList", request, &reply);
    for (size_t i = 0; status == 0 && i < bulkhead_count(bulkhead_get(reply, "image")); i++) {
        const bulkhead_value *tags = bulkhead_get(bulkhead_at(bulkhead_get(reply, "image"), i), "repo_tags");

        for (size_t k = 0; k < bulkhead_count(tags); k++) {
            const char *tag = bulkhead_str(bulkhead_at(tags, k)), *colon = strrchr(tag, ':');

            if (colon != NULL && (size_t)(colon - tag) == strlen(prefix) && memcmp(tag, prefix, strlen(prefix)) == 0)
                bulkhead_add_str(list, tag);
        }
    }
    bulkhead_value_free(reply);
    if (status == 0 && bulkhead_count(list) == 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "An image does not exist locally with the tag: %s", prefix);
    return status;
}

static int references(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value **out) {
    bulkhead_value *list = bulkhead_list_new();
    int status = 0;

    for (int i = 0; status == 0 && i < args->operand_count; i++) {
        if (cli_bool(args, "all-tags"))
            status = tags_here(ctx, args->operands[i], list);
        else
            bulkhead_add_str(list, args->operands[i]);
    }
    if (status != 0) {
        bulkhead_value_free(list);
        return status;
    }
    *out = list;
    return 0;
}

static int make_request(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value **out) {
    int64_t jobs = cli_int(args, "jobs"), level = cli_int(args, "compression-level");
    bulkhead_value *list = NULL, *remote = NULL, *request;
    int status;

    if (jobs < 0 || jobs > 64 || level < 0 || level > 22)
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "--jobs is 1 to 64, --compression-level 1 to 22");
    if ((status = references(ctx, args, &list)) != 0)
        return status;
    status = cli_remote_make(ctx, args, CLI_REMOTE_PUSH, (const char *const *)args->operands,
                             (size_t)args->operand_count, &remote);
    if (status != 0) {
        bulkhead_value_free(list);
        return status;
    }
    request = bulkhead_map_new();
    bulkhead_set(request, "reference", list);
    bulkhead_set(request, "remote", remote);
    bulkhead_set_uint(request, "jobs", (uint64_t)jobs);
    bulkhead_set_uint(request, "level", (uint64_t)level);
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    bulkhead_set_str(request, "compression", cli_str(args, "compression"));
    bulkhead_set_bool(request, "force_compression", cli_bool(args, "force-compression"));
    *out = request;
    return 0;
}

static int write_digest(struct cli_ctx *ctx, const char *path, const char *digest) {
    struct bh_err err = BH_ERR_INIT;

    if (path == NULL || path[0] == '\0' || digest == NULL)
        return 0;
    if (bh_file_replace(AT_FDCWD, path, digest, strlen(digest), 0644, false, &err) == 0)
        return 0;
    return cli_fail(ctx->out, &err);
}

int cmd_push(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bh_err err = BH_ERR_INIT;
    struct cli_transfer_view view;
    enum cli_progress_mode mode;
    bulkhead_value *request = NULL;
    int status;

    if (cli_progress_mode_parse(cli_str(args, "progress"), &mode, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (cli_bool(args, "quiet"))
        mode = CLI_PROGRESS_QUIET;
    if ((status = make_request(ctx, args, &request)) != 0)
        return status;
    cli_transfer_view_init(&view, ctx, mode, false);
    status = cli_transfer_run(&view, "Push", request);
    if (status == 0)
        status = write_digest(ctx, cli_str(args, "digestfile"), view.digest);
    for (size_t i = 0; cli_bool(args, "quiet") && i < view.n_done; i++) {
        cli_put_word(ctx->out, view.done[i]);
        cli_put(ctx->out, "\n");
    }
    cli_transfer_view_fini(&view);
    return status;
}
