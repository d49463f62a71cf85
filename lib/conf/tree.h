/*
 * tree.h - a parsed configuration file, as parse.c makes it and conf.c looks into it.
 *
 * Room: lib/conf alone.  All memory is of the file's arena; nothing is freed by itself.
 */
#ifndef BH_CONF_TREE_H
#define BH_CONF_TREE_H

#include "base/arena.h"
#include "conf/conf.h"

enum conf_type { CONF_STR, CONF_INT, CONF_BOOL, CONF_ARRAY, CONF_TABLE };

struct conf_node;

struct bh_conf_table {
    struct bh_conf *conf;
    struct conf_node *first, *last;
    int line;
    bool defined; /* by its own [header], not only as the parent of another: not a second time */
    bool closed;  /* written {inline}: nothing is added to it from elsewhere */
};

struct conf_array {
    struct conf_node *first, *last;
    size_t n;
    bool of_tables; /* made by [[header]], which may add to it */
};

struct conf_node {
    struct conf_node *next;
    const char *key; /* NULL in an array */
    int line;
    enum conf_type type;
    bool known; /* somebody asked for it */
    union {
        const char *str;
        int64_t num;
        bool flag;
        struct conf_array array;
        struct bh_conf_table table;
    } u;
};

struct bh_conf {
    struct bh_arena arena;
    struct bh_conf_table root;
    char name[256];
};

struct conf_node *conf_find(const struct bh_conf_table *t, const char *key, size_t n);

#endif
