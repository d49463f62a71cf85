/*
 * cmd.h - the commands: one run function and one option table each, gathered by main.c.
 *
 * Room: client.  A command reads its arguments, makes one or more calls of libbulkhead and prints.
 */
#ifndef BH_CLI_CMD_H
#define BH_CLI_CMD_H

#include "cli/opt.h"

#define CLI_COMMAND_LIST(X)                                                                                            \
    X(attach)                                                                                                          \
    X(build)                                                                                                           \
    X(builder_du)                                                                                                      \
    X(builder_history)                                                                                                 \
    X(builder_logs)                                                                                                    \
    X(builder_prune)                                                                                                   \
    X(commit)                                                                                                          \
    X(container_prune)                                                                                                 \
    X(create)                                                                                                          \
    X(diff)                                                                                                            \
    X(exec)                                                                                                            \
    X(export)                                                                                                          \
    X(history)                                                                                                         \
    X(image_copy)                                                                                                      \
    X(image_delete)                                                                                                    \
    X(image_diff)                                                                                                      \
    X(image_exists)                                                                                                    \
    X(image_prune)                                                                                                     \
    X(images)                                                                                                          \
    X(import)                                                                                                          \
    X(info)                                                                                                            \
    X(inspect)                                                                                                         \
    X(kill)                                                                                                            \
    X(load)                                                                                                            \
    X(login)                                                                                                           \
    X(logout)                                                                                                          \
    X(logs)                                                                                                            \
    X(manifest_annotate)                                                                                               \
    X(manifest_create)                                                                                                 \
    X(manifest_inspect)                                                                                                \
    X(manifest_push)                                                                                                   \
    X(manifest_rm)                                                                                                     \
    X(ps)                                                                                                              \
    X(pull)                                                                                                            \
    X(push)                                                                                                            \
    X(top)                                                                                                             \
    X(pause)                                                                                                           \
    X(unpause)                                                                                                         \
    X(rename)                                                                                                          \
    X(restart)                                                                                                         \
    X(rm)                                                                                                              \
    X(rmi)                                                                                                             \
    X(run)                                                                                                             \
    X(save)                                                                                                            \
    X(search)                                                                                                          \
    X(start)                                                                                                           \
    X(stop)                                                                                                            \
    X(system_check)                                                                                                    \
    X(system_df)                                                                                                       \
    X(system_prune)                                                                                                    \
    X(system_rooms)                                                                                                    \
    X(tag)                                                                                                             \
    X(tags)                                                                                                            \
    X(untag)                                                                                                           \
    X(version)                                                                                                         \
    X(wait)

#define X(name)                                                                                                        \
    int cmd_##name(struct cli_ctx *ctx, const struct cli_args *args);                                                  \
    extern const struct cli_opt cmd_##name##_opts[];
CLI_COMMAND_LIST(X)
#undef X

#endif
