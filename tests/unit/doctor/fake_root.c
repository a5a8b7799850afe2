#include "fake_root.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void path_below(const struct fake_root *fake, const char *path, char out[512])
{
	assert_true(snprintf(out, 512, "%s%s", fake->prefix, path) < 512);
}

void fake_root_write(struct fake_root *fake, const char *path, const char *text)
{
	char whole[512];
	path_below(fake, path, whole);
	for (char *slash = strchr(whole + strlen(fake->prefix) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(whole, 0755);
		*slash = '/';
	}
	FILE *file = fopen(whole, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

void fake_root_delete(struct fake_root *fake, const char *path)
{
	char whole[512];
	path_below(fake, path, whole);
	assert_int_equal(unlink(whole), 0);
}

char *fake_root_text(struct fake_root *fake, const char *path)
{
	struct root root = {.prefix = fake->prefix};
	struct slice text;
	assert_int_equal(root_read(&root, path, fake->buffer, &text), ERROR_OK);
	char *copy = strndup((const char *)text.data, text.size);
	assert_non_null(copy);
	return copy;
}

struct fake_root fake_root_make(const struct fake_file *files)
{
	struct fake_root fake = {.prefix = "/tmp/roost-machine-XXXXXX", .buffer = malloc(ROOT_FILE_BYTES_MAX)};
	assert_non_null(fake.buffer);
	assert_non_null(mkdtemp(fake.prefix));
	for (; files->path != NULL; files++)
		fake_root_write(&fake, files->path, files->text);
	return fake;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void fake_root_remove(struct fake_root *fake)
{
	assert_int_equal(nftw(fake->prefix, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(fake->buffer);
}

struct machine *fake_root_machine(const struct fake_root *fake)
{
	struct root root = {.prefix = fake->prefix};
	struct machine_probes probes = {.elsewhere = true, .page_bytes = 4096};
	struct machine *machine = machine_read(&root, &probes);
	assert_non_null(machine);
	return machine;
}
