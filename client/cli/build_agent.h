/*
 * build_agent.h - --ssh: the user's agent for RUN --mount=type=ssh.
 *
 * Room: client.  The engine hands every connection of a RUN here.  What a command says to the agent is read here and
 * judged: it may ask for the list of keys and for signatures, and for nothing else.
 */
#ifndef BH_CLI_BUILD_AGENT_H
#define BH_CLI_BUILD_AGENT_H

#include <stddef.h>

#include "base/err.h"

#define BUILD_AGENTS_MAX 16

struct build_agents {
    struct build_agent *v[BUILD_AGENTS_MAX];
    size_t n;
};

/* "default", "ID", "ID=SOCKET". */
int build_agents_add(struct build_agents *a, const char *text, struct bh_err *err);
const char *build_agents_id(const struct build_agents *a, size_t i);
/* The descriptor that the engine gets; build_agents_given closes ours. */
int build_agents_fd(const struct build_agents *a, size_t i);
void build_agents_given(struct build_agents *a);
void build_agents_fini(struct build_agents *a);

#endif
