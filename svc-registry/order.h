/*
 * order.h - what several images tell while they are brought side by side, one image after the other.
 *
 * Room: registry.  The events of the first image that is not done pass at once; those of later ones are kept until
 * their turn comes, but for mere progress, which is left out.  What is kept is bounded: an image begins only when it
 * is among the next REG_ORDER_AHEAD, and its events are a few for each layer.
 */
#ifndef REG_ORDER_H
#define REG_ORDER_H

#include <stddef.h>

#include "svc-registry/event.h"

#define REG_ORDER_AHEAD 4

struct reg_order;
/* n images, told to listener, which lives longer. */
struct reg_order *reg_order_new(const struct reg_listener *listener, size_t n);
void reg_order_free(struct reg_order *o);
/* Waits until image i is near enough to the one whose turn it is. */
void reg_order_begin(struct reg_order *o, size_t i);
/* The listener of image i, thread-safe. */
const struct reg_listener *reg_order_of(struct reg_order *o, size_t i);
/* Image i tells nothing more, also when it was not begun: the next ones have their turn. */
void reg_order_end(struct reg_order *o, size_t i);

#endif
