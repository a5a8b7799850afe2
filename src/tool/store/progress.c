#include "tool/store/progress.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SILENT_MS 1000u
#define REDRAW_MS 100u
#define BAR_CELLS 30u

struct store_progress store_progress_begin(const char *what)
{
	return (struct store_progress){.what = what, .started_ms = clock_now_ms()};
}

static void draw_bar(struct store_progress *progress, uint64_t now_ms, double share)
{
	if (progress->has_bar && now_ms - progress->drawn_ms < REDRAW_MS)
		return;
	char bar[BAR_CELLS + 1];
	size_t full = (size_t)(share * BAR_CELLS);
	CHECK_LE(full, (size_t)BAR_CELLS);
	memset(bar, '#', full);
	memset(bar + full, '.', BAR_CELLS - full);
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r[%s] %s: %.0f %%\033[K", bar, progress->what, share * 100);
	progress->drawn_ms = now_ms;
	progress->has_bar = true;
}

void store_progress_update(struct store_progress *progress, uint64_t done, uint64_t all)
{
	uint64_t now_ms = clock_now_ms();
	if (now_ms - progress->started_ms < SILENT_MS || all == 0)
		return;
	double share = done < all ? (double)done / (double)all : 1.0;
	if (isatty(STDERR_FILENO)) {
		draw_bar(progress, now_ms, share);
		return;
	}
	uint32_t tenths = (uint32_t)(share * 10);
	if (tenths > progress->tenths)
		fprintf(stderr, "%s: %u %%\n", progress->what, tenths * 10);
	if (tenths > progress->tenths)
		progress->tenths = tenths;
}

void store_progress_end(struct store_progress *progress)
{
	if (progress->has_bar)
		fputs("\r\033[K", stderr);
	progress->has_bar = false;
}
