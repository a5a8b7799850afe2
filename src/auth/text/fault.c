#include "auth/text/fault.h"

#include <stdarg.h>
#include <stdio.h>

bool fault_set(struct fault *fault, uint32_t line, const char *format, ...)
{
	fault->line = line;
	va_list arguments;
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above has initialized it */
	vsnprintf(fault->text, sizeof(fault->text), format, arguments);
	va_end(arguments);
	return false;
}
