#include "tls/certificate/document.h"

#include <stdarg.h>
#include <stdio.h>

bool tls_fault(char fault[TLS_FAULT_BYTES_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault, TLS_FAULT_BYTES_MAX, format, arguments);
	va_end(arguments);
	return false;
}
