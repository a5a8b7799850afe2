/* Files embedded in the program. tools/embed.py makes them from docs/openapi.json and src/admin/api/page.html. */
#ifndef ADMIN_API_ASSETS_H
#define ADMIN_API_ASSETS_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t ASSET_PAGE[];
extern const size_t ASSET_PAGE_BYTES;
/* Content-Security-Policy of the page: allows its own style and script by their hashes, and requests to its own origin.
 */
extern const char ASSET_PAGE_POLICY[];

extern const uint8_t ASSET_OPENAPI[];
extern const size_t ASSET_OPENAPI_BYTES;

#endif
