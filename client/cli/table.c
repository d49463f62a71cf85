/*
 * table.c - rows as a table, lines of a template, or JSON lines; documents of inspect.
 *
 * Room: client.  The columns are laid out in table_tabs.c, single cells are made in table_cell.c.
 * Rows hold foreign text: for a table it is escaped before the template sees it, so that a tab or a
 * newline in a label cannot make columns.
 */
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define OUTPUT_MAX ((size_t)256 << 20)

enum shape { SHAPE_TABLE, SHAPE_LINES, SHAPE_JSON };

/* One printing of a list. */
struct list_run {
    enum shape shape;
    const char *text; /* the template */
    struct bh_tmpl *t;
    struct bh_tmpl_opts opts;
    struct bh_tmpl_method methods[2];
    bool plain;           /* the text is the list's own: it shows no whole row, and computes nothing */
    const json_t *hidden; /* the row with its "_" keys, for the methods */
    struct bh_buf lines;
};

/* ---- methods ---- */

/* {{.Label "k"}} of a row. */
static int row_label(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                     struct bh_err *err) {
    const struct list_run *run = user;
    const json_t *labels = json_object_get(run->hidden, "_labels");

    (void)receiver;
    (void)argc;
    if (!json_is_string(argv[0]))
        return bh_err_set(err, BH_E_INVALID, "the name of a label must be a string");
    *out = json_incref(json_object_get(labels, json_string_value(argv[0])));
    if (!*out)
        *out = json_string("");
    return 0;
}

/* Its heading: the last part of the name, - and _ as blanks. */
static int heading_label(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                         struct bh_err *err) {
    const char *name = json_string_value(argv[0]), *dot;
    char *copy;

    (void)user;
    (void)receiver;
    (void)argc;
    if (!name)
        return bh_err_set(err, BH_E_INVALID, "the name of a label must be a string");
    dot = strrchr(name, '.');
    copy = bh_xstrdup(dot ? dot + 1 : name);
    for (char *p = copy; *p; p++)
        if (*p == '-' || *p == '_')
            *p = ' ';
    *out = json_string_nocheck(copy);
    free(copy);
    return 0;
}

static void set_method(struct list_run *run, bh_tmpl_method_fn *fn) {
    run->methods[0] = (struct bh_tmpl_method){"Label", 1, 1, fn, run};
    run->methods[1] = (struct bh_tmpl_method){0};
    run->opts.methods = run->methods;
}

/* ---- rows ---- */

/* Most cells: nothing in them that bh_str_escape would change. */
static bool fit_to_print(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] >= 0x7f)
            return false;
    return true;
}

static bool row_fit_to_print(const json_t *row) {
    json_t *r = (json_t *)(uintptr_t)row;

    for (void *it = json_object_iter(r); it; it = json_object_iter_next(r, it)) {
        const json_t *v = json_object_iter_value(it);

        if (json_is_object(v) || json_is_array(v) ||
            (json_is_string(v) && !fit_to_print(json_string_value(v), json_string_length(v))))
            return false;
    }
    return true;
}

static json_t *escaped(const json_t *value) {
    json_t *v = (json_t *)(uintptr_t)value, *copy;
    const char *s = json_string_value(value);
    size_t n = json_string_length(value);

    if (json_is_string(value)) {
        char *dst;

        if (fit_to_print(s, n))
            return json_incref(v);
        dst = bh_xmalloc(4 * n + 8);

        bh_str_escape(dst, 4 * n + 8, s, n, false);
        copy = json_string_nocheck(dst);
        free(dst);
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        for (size_t i = 0; i < json_array_size(value); i++)
            json_array_append_new(copy, escaped(json_array_get(value, i)));
        return copy;
    }
    if (!json_is_object(value))
        return json_incref(v);
    copy = json_object();
    for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it))
        json_object_set_new_nocheck(copy, json_object_iter_key(it), escaped(json_object_iter_value(it)));
    return copy;
}

/* The row without its "_" keys. */
static json_t *visible(const json_t *row) {
    json_t *copy = json_object(), *r = (json_t *)(uintptr_t)row;

    for (void *it = json_object_iter(r); it; it = json_object_iter_next(r, it))
        if (json_object_iter_key(it)[0] != '_')
            json_object_set_nocheck(copy, json_object_iter_key(it), json_object_iter_value(it));
    return copy;
}

static int add_row(struct list_run *run, const json_t *row, struct bh_err *err) {
    bool as_is = run->shape != SHAPE_TABLE || row_fit_to_print(row);
    json_t *full = as_is ? json_incref((json_t *)(uintptr_t)row) : escaped(row);
    json_t *shown = run->plain ? json_incref(full) : visible(full);
    int rc = 0;

    run->hidden = full;
    if (run->shape == SHAPE_JSON)
        bh_tmpl_print_json(&run->lines, shown, true);
    else
        rc = bh_tmpl_exec(run->t, shown, &run->opts, &run->lines, err) < 0
                 ? bh_err_prefix(err, "template parsing error")
                 : 0;
    bh_buf_addc(&run->lines, '\n');
    run->hidden = NULL;
    json_decref(shown);
    json_decref(full);
    return rc;
}

static json_t *headings(const struct cli_list *list) {
    json_t *all = json_object();

    for (const struct cli_field *f = list->fields; f->name; f++)
        json_object_set_new(all, f->name, json_string(f->heading));
    return all;
}

/* The heading line; for a template that is no table only the check that its fields exist.  Headings
 * are strings, so a template that takes values apart may fail on them for other reasons. */
static int add_headings(struct list_run *run, const struct cli_list *list, bool show, struct bh_err *err) {
    struct bh_err local = BH_ERR_INIT;
    json_t *all = headings(list);
    size_t before = run->lines.len;
    int rc;

    set_method(run, heading_label);
    run->opts.flags |= BH_TMPL_HEADINGS;
    rc = bh_tmpl_exec(run->t, all, &run->opts, &run->lines, &local);
    run->opts.flags &= ~(unsigned)BH_TMPL_HEADINGS;
    set_method(run, row_label);
    json_decref(all);
    if (rc == BH_E_NOT_FOUND || (rc < 0 && show)) {
        *err = local;
        return rc;
    }
    if (show)
        bh_buf_addc(&run->lines, '\n');
    else
        run->lines.len = before;
    return 0;
}

/* ---- the format ---- */

/* Text behind "table", blanks cut off; NULL if format does not begin with it. */
static const char *behind_table(const char *format) {
    if (!bh_str_starts(format, "table"))
        return NULL;
    return format + 5 + strspn(format + 5, " ");
}

bool cli_list_is_plain(const struct cli_list_opts *o) {
    const char *rest = o->format && *o->format ? behind_table(o->format) : "";

    return rest && *rest == '\0';
}

static int choose(struct list_run *run, const struct cli_list *list, const struct cli_list_opts *o,
                  struct bh_err *err) {
    const char *format = o->format && *o->format ? o->format : "table", *rest = behind_table(format);

    run->plain = cli_list_is_plain(o);
    run->shape = SHAPE_LINES;
    run->text = format;
    if (strcmp(format, "json") == 0) {
        run->shape = SHAPE_JSON;
        return 0;
    }
    if (rest && *rest == '\0' && o->quiet && list->quiet) {
        run->text = list->quiet;
    } else if (rest) {
        run->shape = SHAPE_TABLE;
        run->text = *rest ? rest : o->table ? o->table : list->table;
    }
    if (bh_tmpl_parse(run->text, strlen(run->text), BH_TMPL_ESCAPES, &run->t, err) < 0) {
        bh_err_prefix(err, "template parsing error");
        return bh_err_reason(err, "format");
    }
    return 0;
}

static void print_lines(struct cli_out *o, struct list_run *run) {
    struct bh_buf columns BH_SCOPE_BUF = BH_BUF_INIT_MAX(OUTPUT_MAX);

    if (run->shape == SHAPE_TABLE) {
        cli_tabs_layout(bh_buf_str(&run->lines), run->lines.len, 10, 3, &columns);
        cli_put_text(o, bh_buf_str(&columns), columns.len);
    } else {
        cli_put_text(o, bh_buf_str(&run->lines), run->lines.len);
    }
}

static int print_rows(struct cli_out *o, struct list_run *run, const struct cli_list *list,
                      const struct cli_list_opts *opts, const json_t *rows, struct bh_err *err) {
    bool show = run->shape == SHAPE_TABLE && !opts->no_heading;
    int rc = run->t ? add_headings(run, list, show, err) : 0;

    for (size_t i = 0; i < json_array_size(rows) && rc == 0; i++)
        rc = add_row(run, json_array_get(rows, i), err);
    if (rc == 0 && bh_buf_failed(&run->lines))
        rc = bh_err_set(err, BH_E_LIMIT, "--format: more than %zu bytes of output", OUTPUT_MAX);
    if (rc == 0)
        print_lines(o, run);
    return rc;
}

int cli_list_print(struct cli_out *o, const struct cli_list *list, const struct cli_list_opts *opts, const json_t *rows,
                   struct bh_err *err) {
    struct list_run run = {.opts = {.flags = BH_TMPL_ESCAPES | BH_TMPL_SORT_KEYS}};
    int rc;

    bh_buf_init(&run.lines, OUTPUT_MAX);
    rc = choose(&run, list, opts, err);
    if (rc == 0)
        rc = print_rows(o, &run, list, opts, rows, err);
    bh_tmpl_free(run.t);
    bh_buf_fini(&run.lines);
    return rc;
}

/* ---- inspect ---- */

/* Go's field is ID where the document's key is Id: both are in use. */
static int document_id(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                       struct bh_err *err) {
    (void)user;
    (void)argc;
    (void)argv;
    *out = json_incref(json_object_get(receiver, "ID"));
    if (!*out)
        *out = json_incref(json_object_get(receiver, "Id"));
    return *out ? 0 : bh_err_set(err, BH_E_NOT_FOUND, "map has no entry for key \"ID\"");
}

/* docker evaluates templates over its own types: a field is there also when the document leaves it out. */
#define LIST(n)                                                                                                        \
    { n, "null", "[]" }
#define MAP(n)                                                                                                         \
    { n, "null", "map[]" }
#define POINTER(n)                                                                                                     \
    { n, "null", "<nil>" }
#define TEXT(n)                                                                                                        \
    { n, "\"\"", NULL }
static const struct bh_tmpl_zero zeros[] = {
    LIST("Env"),
    LIST("Cmd"),
    LIST("Entrypoint"),
    LIST("OnBuild"),
    LIST("Shell"),
    LIST("CapAdd"),
    LIST("CapDrop"),
    LIST("Dns"),
    LIST("DnsOptions"),
    LIST("DnsSearch"),
    LIST("ExtraHosts"),
    LIST("GroupAdd"),
    LIST("SecurityOpt"),
    LIST("Binds"),
    LIST("Links"),
    LIST("VolumesFrom"),
    LIST("Devices"),
    LIST("DeviceRequests"),
    LIST("Ulimits"),
    LIST("MaskedPaths"),
    LIST("ReadonlyPaths"),
    LIST("Mounts"),
    LIST("ExecIDs"),
    LIST("RepoTags"),
    LIST("RepoDigests"),
    LIST("Layers"),
    LIST("Warnings"),
    LIST("Args"),
    LIST("Test"),
    LIST("DeviceCgroupRules"),
    MAP("Labels"),
    MAP("Volumes"),
    MAP("ExposedPorts"),
    MAP("PortBindings"),
    MAP("Ports"),
    MAP("Networks"),
    MAP("Sysctls"),
    MAP("Tmpfs"),
    MAP("StorageOpt"),
    MAP("Annotations"),
    MAP("Data"),
    POINTER("Health"),
    POINTER("Healthcheck"),
    POINTER("OomKillDisable"),
    POINTER("PidsLimit"),
    POINTER("StopTimeout"),
    POINTER("MemorySwappiness"),
    POINTER("SizeRw"),
    POINTER("SizeRootFs"),
    TEXT("StopSignal"),
    TEXT("Variant"),
    TEXT("OsVersion"),
    TEXT("MacAddress"),
    {"ArgsEscaped", "false", NULL},
    {NULL, NULL, NULL},
};

static int inspect_template(struct cli_out *o, struct bh_tmpl *t, const json_t *documents, struct bh_err *err) {
    static const struct bh_tmpl_method methods[] = {{"ID", 0, 0, document_id, NULL}, {NULL, 0, 0, NULL, NULL}};
    struct bh_tmpl_opts opts = {.methods = methods, .open_maps = bh_tmpl_open_maps, .zeros = zeros};

    for (size_t i = 0; i < json_array_size(documents); i++) {
        struct bh_buf line BH_SCOPE_BUF = BH_BUF_INIT_MAX(OUTPUT_MAX);

        if (bh_tmpl_exec(t, json_array_get(documents, i), &opts, &line, err) < 0)
            return bh_err_prefix(err, "template parsing error");
        bh_buf_addc(&line, '\n');
        cli_put_text(o, bh_buf_str(&line), line.len);
    }
    return 0;
}

int cli_inspect_print(struct cli_out *o, const char *format, const json_t *documents, struct bh_err *err) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(OUTPUT_MAX);
    struct bh_tmpl *t = NULL;
    int rc;

    if (!format || !*format) {
        cli_put_json(o, documents);
        return 0;
    }
    if (strcmp(format, "json") == 0) {
        bh_tmpl_print_json(&b, documents, false);
        bh_buf_addc(&b, '\n');
        cli_put_text(o, bh_buf_str(&b), b.len);
        return 0;
    }
    if (bh_tmpl_parse(format, strlen(format), 0, &t, err) < 0) {
        bh_err_prefix(err, "template parsing error");
        return bh_err_reason(err, "template");
    }
    rc = inspect_template(o, t, documents, err);
    bh_tmpl_free(t);
    return rc;
}
