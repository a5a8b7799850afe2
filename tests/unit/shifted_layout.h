/* A program with another layout, for tests of conversions (layout/conversion.h). */
#ifndef TESTS_UNIT_SHIFTED_LAYOUT_H
#define TESTS_UNIT_SHIFTED_LAYOUT_H

/* The text of a program like this one whose convertible types all begin with eight bytes of padding. On the heap. */
char *shifted_layout_text(void);

#endif
