/* Of what a test tries over and over (each place where the power may be cut, each step at which a program may be
 * replaced): 1, all of it. Under a sanitizer, with which mapping memory alone takes ten times as long, every fifth. */
#ifndef TESTS_TRIES_H
#define TESTS_TRIES_H

#include "base/sanitizer.h"

#define TRIES_STEP (SANITIZER_ADDRESS || SANITIZER_THREAD ? 5u : 1u)

#endif
