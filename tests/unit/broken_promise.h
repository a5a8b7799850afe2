/* Runs code that must break a promise (base/check.h), in a child, and hands back what it printed. */
#ifndef UNIT_BROKEN_PROMISE_H
#define UNIT_BROKEN_PROMISE_H

#include <stddef.h>

#define BROKEN_PROMISE_BYTES 16384u

/* Fails the test unless the child ends by SIGABRT. text: what it wrote to stderr, ended by NUL. */
void assert_breaks_promise(void (*breaks)(void *argument), void *argument, char text[BROKEN_PROMISE_BYTES]);
/* The same for another signal that ends the child. */
void assert_dies_by(int signal, void (*dies)(void *argument), void *argument, char text[BROKEN_PROMISE_BYTES]);

#endif
