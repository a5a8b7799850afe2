/* References with a type. Objects in pools and blocks in slabs are named by 32-bit numbers; as plain uint32_t a
 *client's pool index, a message's slab reference and a shard's number change places without a word from the compiler.
 *So each kind has a struct of one field:
 *
 *	DEFINE_REF(client);      struct client_ref, client_ref_none(), client_ref_is_none(), client_ref_equal()
 *	DEFINE_POOL_REF(client); client_at(), client_take(), client_give() over pools of struct client (memory/pool.h)
 *	DEFINE_SLAB_REF(will);   will_at(), will_take(), will_give() over slabs (memory/slab.h)
 *	DEFINE_LIST(client);     struct client_list, client_list_push(), client_list_fini() (memory/list.h)
 *	DEFINE_TABLE(client);    client_table_first(), _next(), _insert(), _remove() (memory/table.h)
 *
 * DEFINE_REF needs nothing of the struct, so a header that only hands references on does without the object's header.
 * The others need the complete struct, and follow it. A struct with one 32-bit field is passed and returned in a
 * register by the x86-64 and AArch64 ABIs, as the number itself is, and is stored in four bytes.
 *
 * Generic code (pools, slabs, lists, tables, the wheel) goes on with the number: `.index` is unwrapped where a typed
 * wrapper calls it, and nowhere else. A zeroed struct holds references to nothing. Pure; any thread. */
#ifndef MEMORY_REF_H
#define MEMORY_REF_H

#include <stdbool.h>
#include <stdint.h>

/* A .c file that defines a kind for itself need not use all of it. */
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
