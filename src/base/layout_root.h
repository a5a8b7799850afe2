/* Marks the types whose objects outlive the program: those in arenas (memory/arena.h) and in notes.
 * tools/memory_layout.py reads them, and all that they contain, from the debug information of the objects, and writes
 * down what lies where (layout/memory_layout.h). So a program that would misread another's memory knows it.
 *
 * One line in the .c file that opens the pool or takes the block: LAYOUT_ROOT(client) for struct client, LAYOUT_ENUM(x)
 * for an enumeration that is kept as a plain number, which the type does not show. A marked type has no pointer in it;
 * the build fails otherwise. */
#ifndef BASE_LAYOUT_ROOT_H
#define BASE_LAYOUT_ROOT_H

#define LAYOUT_ROOT_OF(type, name)                                                                                     \
	static const type *const layout_root_##name __attribute__((used, section(".roost_layout"))) = 0
#define LAYOUT_ROOT(name) LAYOUT_ROOT_OF(struct name, name)
#define LAYOUT_ENUM(name) LAYOUT_ROOT_OF(enum name, name)

#endif
