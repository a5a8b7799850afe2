#include "capture.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct capture capture_start(void)
{
	fflush(stderr);
	struct capture capture = {.file = memfd_create("stderr", MFD_CLOEXEC), .saved = dup(STDERR_FILENO)};
	CHECK(capture.file >= 0 && capture.saved >= 0);
	CHECK(dup2(capture.file, STDERR_FILENO) == STDERR_FILENO);
	return capture;
}

char *capture_stop(struct capture *capture)
{
	fflush(stderr);
	CHECK(dup2(capture->saved, STDERR_FILENO) == STDERR_FILENO);
	close(capture->saved);
	struct stat status;
	CHECK(fstat(capture->file, &status) == 0);
	size_t size = (size_t)status.st_size;
	char *text = malloc(size + 1);
	CHECK(text != NULL);
	CHECK(pread(capture->file, text, size, 0) == (ssize_t)size);
	text[size] = '\0';
	close(capture->file);
	return text;
}
