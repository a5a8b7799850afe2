#include "auth/fault.h"

#include <stdarg.h>
#include <stdio.h>

bool fault_set(struct fault *fault, uint32_t line, const char *format, ...)
{
	fault->line = line;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault->text, sizeof(fault->text), format, arguments);
	va_end(arguments);
	return false;
}
