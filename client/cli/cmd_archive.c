/*
 * cmd_archive.c - `load`, `save`, `import`: images in and out as files.
 *
 * Room: client.  The engine is handed the descriptor; no byte of an archive is read here, except
 * that an OCI layout given as a folder is packed on the way (layout_dir.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/file.h"
#include "cli/layout_dir.h"
#include "cli/progress.h"

const struct cli_opt cmd_load_opts[] = {
    {.name = "input",
     .letter = 'i',
     .kind = CLI_STRING,
     .help = "Read this file or folder, not standard input",
     .metavar = "file",
     .complete = "file"},
    {.name = "platform", .kind = CLI_STRING, .help = "Load only this platform, as OS/ARCH[/VARIANT]"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|json"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Do not show progress"},
    {0},
};

const struct cli_opt cmd_save_opts[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .help = "Write to a file, not to standard output",
     .metavar = "file",
     .complete = "file"},
    {.name = "platform", .kind = CLI_STRING, .help = "Save only this platform, as OS/ARCH[/VARIANT]"},
    {0},
};

const struct cli_opt cmd_import_opts[] = {
    {.name = "change", .letter = 'c', .kind = CLI_LIST, .help = "Apply a Dockerfile instruction to the image"},
    {.name = "message", .letter = 'm', .kind = CLI_STRING, .help = "Set the commit message"},
    {.name = "platform", .kind = CLI_STRING, .help = "Set the platform, as OS/ARCH[/VARIANT]"},
    {0},
};

struct load_view {
    struct cli_ctx *ctx;
    struct cli_progress *progress;
};

static int show_event(void *arg, const bulkhead_value *event) {
    struct load_view *view = arg;
    const char *layer = bulkhead_get_str(event, "layer"), *loaded = bulkhead_get_str(event, "loaded");
    uint64_t current = bulkhead_get_uint(event, "current"), total = bulkhead_get_uint(event, "total");

    if (layer[0] != '\0' && view->progress != NULL) {
        bool whole = total != 0 && current >= total;

        cli_progress_item(view->progress, layer, whole ? "Loaded" : "Loading layer", whole ? 0 : current,
                          whole ? 0 : total);
    }
    if (bulkhead_get_str(event, "note")[0] != '\0')
        cli_say(view->ctx->out, "%s\n", bulkhead_get_str(event, "note"));
    if (loaded[0] != '\0') {
        cli_progress_free(view->progress);
        view->progress = NULL;
        cli_put(view->ctx->out, bulkhead_get_bool(event, "is_id") ? "Loaded image ID: " : "Loaded image: ");
        cli_put_word(view->ctx->out, loaded);
        cli_put(view->ctx->out, "\n");
    }
    return 0;
}

static int load_from(struct cli_ctx *ctx, const struct cli_args *args, int fd) {
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    struct load_view view = {.ctx = ctx};
    enum cli_progress_mode mode;
    bulkhead_value *request;
    bulkhead *b = cli_engine(ctx);
    int r;

    if (b == NULL)
        return CLI_EXIT_FAILED;
    if (cli_progress_mode_parse(cli_str(args, "progress"), &mode, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (cli_bool(args, "quiet") || (mode == CLI_PROGRESS_AUTO && !ctx->out->out_tty))
        mode = CLI_PROGRESS_QUIET;
    view.progress = cli_progress_new(ctx->out, mode, false);
    request = bulkhead_map_new();
    bulkhead_set_bool(request, "quiet", mode == CLI_PROGRESS_QUIET);
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    r = bulkhead_image_load(b, fd, request, show_event, &view, NULL, &error);
    bulkhead_value_free(request);
    cli_progress_free(view.progress);
    return r == 0 ? 0 : cli_fail_engine(ctx, &error);
}

int cmd_load(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *path = cli_str(args, "input");
    struct bh_err err = BH_ERR_INIT;
    struct layout_dir *packer = NULL;
    struct stat st;
    int fd = -1, status;

    if (path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (layout_dir_open(path, &packer, &fd, &err) != 0)
            return cli_fail(ctx->out, &err);
    } else if (cli_input_open(path, "load", &fd, &err) != 0) {
        return cli_fail(ctx->out, &err);
    }
    status = load_from(ctx, args, fd);
    close(fd);
    if (packer != NULL && layout_dir_close(packer, &err) != 0 && status == 0)
        status = cli_fail(ctx->out, &err);
    return status;
}

int cmd_save(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request, *names;
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    bulkhead_stream *s = NULL;
    struct cli_output out;
    bulkhead *b;
    int r;

    if (cli_output_open(cli_str(args, "output"), "an archive", &out, &err) != 0)
        return cli_fail(ctx->out, &err);
    if ((b = cli_engine(ctx)) == NULL) {
        cli_output_abort(&out);
        return CLI_EXIT_FAILED;
    }
    request = bulkhead_map_new();
    names = bulkhead_list_new();
    for (int i = 0; i < args->operand_count; i++)
        bulkhead_add_str(names, args->operands[i]);
    bulkhead_set(request, "name", names);
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    r = bulkhead_stream_open(b, "store", "Save", request, &out.fd, 1, &s, &error);
    bulkhead_value_free(request);
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, &error);
    bulkhead_stream_free(s);
    if (r != 0) {
        cli_output_abort(&out);
        return cli_fail_engine(ctx, &error);
    }
    return cli_output_commit(&out, &err) == 0 ? 0 : cli_fail(ctx->out, &err);
}

/* All that comes through a pipe into a file.  -1 with errno. */
static int keep(int from, int to) {
    char chunk[65536];
    ssize_t n;

    while ((n = bh_read_full(from, chunk, sizeof chunk)) > 0) {
        if (bh_write_all(to, chunk, (size_t)n) != 0)
            return -1;
    }
    return n < 0 ? -1 : 0;
}

/* The engine writes into a pipe, and into no file of ours: a disk that hangs must not keep it waiting.  An error of the
 * file itself is in *out_errno. */
static int fetch_body(bulkhead *b, const char *url, const int body[2], int file, int *out_errno,
                      struct bulkhead_error *error) {
    bulkhead_value *request = bulkhead_map_new();
    bulkhead_stream *s = NULL;
    int r;

    bulkhead_set_str(request, "url", url);
    bulkhead_set_bool(request, "raw", true);
    r = bulkhead_stream_open(b, "registry", "Fetch", request, &body[1], 1, &s, error);
    bulkhead_value_free(request);
    close(body[1]);
    *out_errno = r == 0 && keep(body[0], file) != 0 ? errno : 0;
    close(body[0]);
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, error);
    bulkhead_stream_free(s);
    return r;
}

/* What is at the address, whole, in a file without a name: half an archive must not become an image. */
static int download(struct cli_ctx *ctx, bulkhead *b, const char *url, int *out_fd) {
    const char *folder = getenv("TMPDIR");
    struct bulkhead_error error = {0};
    BH_SCOPE_CLOSE int fd =
        open(folder != NULL && folder[0] == '/' ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int body[2], lost, r;

    if (fd < 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "import %s: make a temporary file: %s", url, strerror(errno));
    if (pipe2(body, O_CLOEXEC) != 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "import %s: make a pipe: %s", url, strerror(errno));
    r = fetch_body(b, url, body, fd, &lost, &error);
    if (lost == 0 && r != 0)
        return cli_fail_engine(ctx, &error);
    if (lost == 0 && lseek(fd, 0, SEEK_SET) != 0)
        lost = errno;
    if (lost != 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "import %s: keep what comes: %s", url, strerror(lost));
    *out_fd = bh_take_fd(&fd);
    return 0;
}

static bool is_address(const char *source) {
    return bh_str_starts(source, "http://") || bh_str_starts(source, "https://");
}

int cmd_import(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    bulkhead *b = NULL;
    bulkhead_value *request;
    char *id = NULL;
    int fd, r;

    if (!is_address(args->operands[0]) && cli_input_open(args->operands[0], "import", &fd, &err) != 0)
        return cli_fail(ctx->out, &err);
    if ((b = cli_engine(ctx)) == NULL) {
        if (!is_address(args->operands[0]))
            close(fd);
        return CLI_EXIT_FAILED;
    }
    if (is_address(args->operands[0]) && (r = download(ctx, b, args->operands[0], &fd)) != 0)
        return r;
    request = bulkhead_map_new();
    if (args->operand_count > 1)
        bulkhead_set_str(request, "reference", args->operands[1]);
    bulkhead_set_str(request, "message", cli_str(args, "message"));
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    bulkhead_set_str(request, "source", is_address(args->operands[0]) ? args->operands[0] : "-"); /* as docker tells */
    cli_set_list(args, "change", request, "change");
    r = bulkhead_image_import(b, fd, request, &id, &error);
    bulkhead_value_free(request);
    close(fd);
    if (r != 0)
        return cli_fail_engine(ctx, &error);
    cli_put(ctx->out, "%s\n", id);
    free(id);
    return 0;
}
