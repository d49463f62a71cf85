/*
 * recipe_check.h - the lint checks, by docker's names.
 *
 * Room: build.  Pure.  `--check` runs nothing else; a build shows them as warnings.  `# check=skip=A,B;error=true`
 * at the top and `# check=skip=A` above an instruction are obeyed.  A check never changes what is built.
 */
#ifndef BUILD_RECIPE_CHECK_H
#define BUILD_RECIPE_CHECK_H

#include "ignore/ignore.h"
#include "recipe.h"
#include "recipe_expand.h"

/* name, address of its page */
#define BUILD_CHECK_LIST(X)                                                                                            \
    X(ConsistentInstructionCasing, "consistent-instruction-casing")                                                    \
    X(CopyIgnoredFile, "copy-ignored-file")                                                                            \
    X(DuplicateStageName, "duplicate-stage-name")                                                                      \
    X(ExposeInvalidFormat, "expose-invalid-format")                                                                    \
    X(ExposeProtoCasing, "expose-proto-casing")                                                                        \
    X(FromAsCasing, "from-as-casing")                                                                                  \
    X(FromPlatformFlagConstDisallowed, "from-platform-flag-const-disallowed")                                          \
    X(InvalidDefaultArgInFrom, "invalid-default-arg-in-from")                                                          \
    X(InvalidDefinitionDescription, "invalid-definition-description")                                                  \
    X(InvalidJSONForm, "")                                                                                             \
    X(JSONArgsRecommended, "json-args-recommended")                                                                    \
    X(LegacyKeyValueFormat, "legacy-key-value-format")                                                                 \
    X(MaintainerDeprecated, "maintainer-deprecated")                                                                   \
    X(MultipleInstructionsDisallowed, "multiple-instructions-disallowed")                                              \
    X(NoEmptyContinuation, "no-empty-continuation")                                                                    \
    X(RedundantTargetPlatform, "redundant-target-platform")                                                            \
    X(ReservedStageName, "reserved-stage-name")                                                                        \
    X(SecretsUsedInArgOrEnv, "secrets-used-in-arg-or-env")                                                             \
    X(StageNameCasing, "stage-name-casing")                                                                            \
    X(UndefinedArgInFrom, "undefined-arg-in-from")                                                                     \
    X(UndefinedVar, "undefined-var")                                                                                   \
    X(WorkdirRelativePath, "workdir-relative-path")

enum build_check {
#define X(name, page) BUILD_CHECK_##name,
    BUILD_CHECK_LIST(X)
#undef X
        BUILD_CHECK_COUNT
};

struct build_check_input {
    const struct build_inputs *in;
    const struct bh_ignore *ignore;            /* the context's .dockerignore; NULL: not known */
    const struct bh_strlist *const *image_env; /* for each stage the Env of its base image; NULL, or NULL in it: not
                                                  known, then only variables with a near namesake are reported */
};

/* Run all checks on a recipe without errors.  A bad `# check=` line is an error note.  BH_E_LIMIT. */
int build_recipe_check(const struct build_recipe *r, const struct build_check_input *input, struct bh_arena *arena,
                       struct build_notes *notes, struct bh_err *err);
/* "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/", or "" */
const char *build_check_url(const char *name, char out[128]);

#endif
