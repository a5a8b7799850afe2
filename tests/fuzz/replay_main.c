/* Runs a fuzz target on every file of the directories named as arguments: the corpus as a test, without libFuzzer. Each
 * input is in a block of exactly its size, so that a sanitizer sees a read past its end. */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	if (file == NULL || fstat(fileno(file), &status) != 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	bool regular = S_ISREG(status.st_mode);
	size_t size = regular ? (size_t)status.st_size : 0;
	uint8_t *data = block_new(size);
	if (fread(data, 1, size, file) != size) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	if (regular)
		LLVMFuzzerTestOneInput(data, size);
	free(data);
	return regular;
}

static unsigned replay_directory(const char *directory)
{
	DIR *entries = opendir(directory);
	if (entries == NULL) {
		perror(directory);
		exit(EXIT_FAILURE);
	}
	unsigned count = 0;
	for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (replay_file(path))
			count++;
	}
	closedir(entries);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++)
		count += replay_directory(argv[i]);
	printf("%u inputs replayed\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
