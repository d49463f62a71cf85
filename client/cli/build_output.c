/*
 * build_output.c - see build_output.h.
 *
 * Room: client.
 */
#include "cli/build_output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const types[] = {"image", "docker", "oci", "tar", "local", "registry"};

struct spec {
    char type[16], dest[4096], name[1024];
    bool push;
};

void build_output_init(struct build_output *o) {
    *o = (struct build_output){.fd = -1, .type = ""};
}

static int bad(const char *text, const char *why, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%.200s\" for \"-o, --output\" flag: %s", text, why);
    return bh_err_reason(err, "usage");
}

/* "dest" alone is a folder, "-" a tar on standard output, else KEY=VALUE parts with commas between. */
static int parse(const char *text, struct spec *out, struct bh_err *err) {
    char *copy BH_SCOPE_FREE = bh_xstrdup(text);
    char *save = NULL;

    *out = (struct spec){.type = ""};
    if (strchr(text, '=') == NULL) {
        bh_str_copy(out->type, sizeof out->type, strcmp(text, "-") == 0 ? "tar" : "local");
        return bh_str_copy(out->dest, sizeof out->dest, text) ? 0 : bad(text, "too long", err);
    }
    for (char *part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');

        if (eq == NULL)
            return bad(text, "a part is KEY=VALUE", err);
        *eq++ = '\0';
        if (strcmp(part, "type") == 0   ? !bh_str_copy(out->type, sizeof out->type, eq)
            : strcmp(part, "dest") == 0 ? !bh_str_copy(out->dest, sizeof out->dest, eq)
            : strcmp(part, "name") == 0 ? !bh_str_copy(out->name, sizeof out->name, eq)
                                        : false)
            return bad(text, "a value is too long", err);
        if (strcmp(part, "push") == 0)
            out->push = strcmp(eq, "true") == 0;
        else if (strcmp(part, "type") != 0 && strcmp(part, "dest") != 0 && strcmp(part, "name") != 0)
            return bad(text, "known keys are type, dest, name and push", err);
    }
    return 0;
}

static int find_type(struct build_output *o, const char *text, const char *word, struct bh_err *err) {
    for (size_t i = 0; i < BH_ARRAY_LEN(types); i++)
        if (strcmp(types[i], word) == 0)
            o->type = types[i];
    return o->type[0] != '\0' ? 0 : bad(text, "type is image, docker, oci, tar, local or registry", err);
}

static int open_folder(struct build_output *o, const struct spec *s, const char *text, struct bh_err *err) {
    if (s->dest[0] == '\0' || strcmp(s->dest, "-") == 0)
        return bad(text, "type=local needs dest=FOLDER", err);
    return cli_tar_open(s->dest, &o->tar, &o->fd, err);
}

static int open_file(struct build_output *o, const struct spec *s, struct bh_err *err) {
    if (cli_output_open(s->dest[0] != '\0' ? s->dest : "-", "an archive", &o->file, err) != 0)
        return err->code;
    o->has_file = true;
    o->fd = o->file.fd;
    return 0;
}

int build_output_open(struct build_output *o, const char *text, struct bh_err *err) {
    struct spec s;

    if (parse(text, &s, err) != 0 || find_type(o, text, s.type, err) != 0)
        return err->code;
    bh_str_copy(o->name, sizeof o->name, s.name);
    o->push = s.push || strcmp(o->type, "registry") == 0;
    if (strcmp(o->type, "registry") == 0)
        o->type = "image";
    if (strcmp(o->type, "local") == 0)
        return open_folder(o, &s, text, err);
    if (strcmp(o->type, "image") == 0 || (strcmp(o->type, "docker") == 0 && s.dest[0] == '\0'))
        return 0; /* the image list */
    return open_file(o, &s, err);
}

void build_output_given(struct build_output *o) {
    if (o->tar != NULL && o->fd >= 0) {
        close(o->fd);
        o->fd = -1;
    }
}

int build_output_finish(struct build_output *o, struct cli_ctx *ctx) {
    struct bh_err err = BH_ERR_INIT;
    int r = 0;

    if (o->tar != NULL)
        r = cli_tar_close(bh_take_ptr(o->tar), &err);
    if (o->has_file) {
        o->has_file = false;
        r = cli_output_commit(&o->file, &err);
    }
    return r == 0 ? 0 : cli_fail(ctx->out, &err);
}

void build_output_fini(struct build_output *o) {
    struct bh_err ignored = BH_ERR_INIT;

    build_output_given(o);
    if (o->tar != NULL) /* the build's own error has been told */
        (void)cli_tar_close(bh_take_ptr(o->tar), &ignored);
    if (o->has_file)
        cli_output_abort(&o->file);
}
