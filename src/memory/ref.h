/* Typed references. Pools and slabs name their objects by 32-bit numbers. As plain uint32_t, a client's pool index and
 * a message's slab reference could be swapped without a word from the compiler. So each kind of reference is a struct
 * with one field:
 *
 *	DEFINE_REF(client);      struct client_ref, client_ref_none(), client_ref_is_none(), client_ref_equal()
 *	DEFINE_POOL_REF(client); client_at(), client_take(), client_give() for a pool of struct client (memory/pool.h)
 *	DEFINE_SLAB_REF(will);   will_at(), will_take(), will_give() for a slab (memory/slab.h)
 *	DEFINE_LIST(client);     struct client_list, client_list_push(), client_list_fini() (memory/list.h)
 *	DEFINE_TABLE(client);    client_table_first(), _next(), _insert(), _remove() (memory/table.h)
 *
 * DEFINE_REF does not need the struct, so a header that only passes references on need not include the object's header.
 * DEFINE_POOL_REF and DEFINE_SLAB_REF need the complete struct. The ABIs of x86-64 and AArch64 pass and return a struct
 * of one 32-bit field in a register, just like the number; in memory it takes four bytes.
 *
 * Generic code (pools, slabs, lists, tables, the wheel) works with the number. Only a typed wrapper around such code
 * unwraps `.index`. A zeroed struct holds references to nothing. Pure; any thread. */
#ifndef MEMORY_REF_H
#define MEMORY_REF_H

#include <stdbool.h>
#include <stdint.h>

/* A .c file that defines a kind of its own may leave some of these functions unused. */
#define REF_INLINE static inline __attribute__((unused))

#define DEFINE_REF(name)                                                                                               \
	struct name##_ref {                                                                                            \
		uint32_t index; /* 0: none */                                                                          \
	};                                                                                                             \
	REF_INLINE struct name##_ref name##_ref_none(void)                                                             \
	{                                                                                                              \
		return (struct name##_ref){0};                                                                         \
	}                                                                                                              \
	REF_INLINE bool name##_ref_is_none(struct name##_ref ref)                                                      \
	{                                                                                                              \
		return ref.index == 0;                                                                                 \
	}                                                                                                              \
	REF_INLINE bool name##_ref_equal(struct name##_ref a, struct name##_ref b)                                     \
	{                                                                                                              \
		return a.index == b.index;                                                                             \
	}                                                                                                              \
	_Static_assert(sizeof(struct name##_ref) == sizeof(uint32_t), "a reference costs what its number costs")

#endif
