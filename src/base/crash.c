#include "base/crash.h"

#include "base/check.h"
#include "base/crash_text.h"
#include "base/sanitizer.h"

#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static const struct {
	int number;
	const char *name;
	bool has_address;
} FATAL[] = {
	{SIGSEGV, "SIGSEGV", true}, {SIGBUS, "SIGBUS", true},    {SIGFPE, "SIGFPE", true},
	{SIGILL, "SIGILL", true},   {SIGABRT, "SIGABRT", false},
};
#define FATAL_COUNT (sizeof(FATAL) / sizeof(FATAL[0]))

static void crash_report(int number, siginfo_t *info, void *frame)
{
	(void)frame;
	struct crash_text text = {.used = 0};
	for (size_t i = 0; i < FATAL_COUNT; i++) {
		if (FATAL[i].number != number)
			continue;
		crash_text_add(&text, "roost: ");
		crash_text_add(&text, FATAL[i].name);
		if (FATAL[i].has_address && info->si_code > 0) {
			crash_text_add(&text, " at ");
			crash_text_hex(&text, (uint64_t)(uintptr_t)info->si_addr);
		}
		crash_text_add(&text, "\n");
	}
	check_print_circumstances(&text);
	/* SA_RESETHAND has removed the handler. A fault recurs when its instruction runs again, so the core dump shows
	 * it. A signal that somebody sent does not. */
	if (info->si_code <= 0)
		CHECK(raise(number) == 0);
}

void crash_catch_signals(void)
{
	void *frame[1];
	CHECK(backtrace(frame, 1) == 1);
	if (SANITIZER_ADDRESS || SANITIZER_THREAD)
		return;
	struct sigaction action = {.sa_sigaction = crash_report,
				   .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER)};
	for (size_t i = 0; i < FATAL_COUNT; i++)
		CHECK(sigaction(FATAL[i].number, &action, NULL) == 0);
}
