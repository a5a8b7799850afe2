#include "base/check.h"

#include "base/crash_text.h"

#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMES_MAX 40

/* The program's first byte and the end of its code, as the linker names them. */
extern const char __executable_start;
extern const char etext;

/* No parameter can carry this: CHECK stands in code that knows nothing about threads. */
static _Thread_local const struct check_context *check_context;

void check_context_set(const struct check_context *context)
{
	check_context = context;
}

static void check_add_context(struct crash_text *text, const struct check_context *context)
{
	crash_text_add(text, "roost: thread ");
	crash_text_decimal(text, gettid());
	if (context != NULL) {
		crash_text_add(text, ", ");
		crash_text_add(text, context->thread);
		crash_text_add(text, " ");
		crash_text_decimal(text, context->number);
	}
	if (context != NULL && context->client != 0) {
		crash_text_add(text, ", last packet: client ");
		crash_text_decimal(text, context->client);
		crash_text_add(text, ", type ");
		crash_text_decimal(text, context->packet_type);
	}
	crash_text_add(text, "\n");
}

/* The command that prints source lines. A position-independent program is loaded elsewhere at each start, so it takes
 * offsets from the program's beginning. A return address points past its call, possibly to the next line, hence - 1. */
static void check_add_command(struct crash_text *text, void *const *frames, int count)
{
	char path[256];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[size < 0 ? 0 : size] = '\0';
	crash_text_add(text, "roost: lines: addr2line -Cfpie ");
	crash_text_add(text, path);
	for (int i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)frames[i];
		if (at > (uintptr_t)&__executable_start && at <= (uintptr_t)&etext) {
			crash_text_add(text, " ");
			crash_text_hex(text, at - (uintptr_t)&__executable_start - 1);
		}
	}
	crash_text_add(text, "\n");
}

void check_print_circumstances(struct crash_text *text)
{
	void *frames[FRAMES_MAX];
	int count = backtrace(frames, FRAMES_MAX);
	check_add_context(text, check_context);
	check_add_command(text, frames, count);
	crash_text_write(text);
	backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

static void check_add_promise(struct crash_text *text, const char *file, int line, const char *promise)
{
	crash_text_add(text, "roost: ");
	crash_text_add(text, file);
	crash_text_add(text, ":");
	crash_text_decimal(text, line);
	crash_text_add(text, ": broken promise: ");
	crash_text_add(text, promise);
}

static void check_add_value(struct crash_text *text, const char *side, int64_t value)
{
	crash_text_add(text, side);
	crash_text_decimal(text, value);
	crash_text_add(text, " (");
	crash_text_hex(text, (uint64_t)value);
	crash_text_add(text, ")");
}

/* The report is complete; a handler of SIGABRT would print it again. */
static _Noreturn void check_abort(void)
{
	signal(SIGABRT, SIG_DFL);
	abort();
}

_Noreturn void check_failed(const char *file, int line, const char *promise)
{
	struct crash_text text = {.used = 0};
	check_add_promise(&text, file, line, promise);
	crash_text_add(&text, "\n");
	check_print_circumstances(&text);
	check_abort();
}

_Noreturn void check_values_failed(const char *file, int line, const char *promise, int64_t left, int64_t right)
{
	struct crash_text text = {.used = 0};
	check_add_promise(&text, file, line, promise);
	check_add_value(&text, ": left ", left);
	check_add_value(&text, ", right ", right);
	crash_text_add(&text, "\n");
	check_print_circumstances(&text);
	check_abort();
}
