#include "tool/tool.h"

#include "cli/command.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

bool tool_read(const char *command, const char *path, enum file_secrecy secrecy, uint8_t **data, size_t *size)
{
	const char *fault = file_read(path, FILE_BYTES_MAX, secrecy, data, size);
	return fault == NULL || cli_complain(command, path, fault);
}
