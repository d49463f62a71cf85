/*
 * capname.h - names of the capability bits that a specification carries (struct rt_spec, caps).
 *
 * Rooms: runtime reads names that a caller gave into bits, launch's child writes bits as names; one
 * table, so that both mean the same bit.  Source: capabilities(7), in the order of linux/capability.h.
 */
#ifndef RT_WIRE_CAPNAME_H
#define RT_WIRE_CAPNAME_H

#define RT_CAP_LAST 40 /* CAP_CHECKPOINT_RESTORE */

/* By bit number, without "CAP_". */
extern const char *const rt_cap_names[RT_CAP_LAST + 1];

#endif
