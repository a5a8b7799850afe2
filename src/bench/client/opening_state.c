#include "bench/client/opening_state.h"

#include <stdlib.h>

void opening_free(struct opening *opening)
{
	if (opening == NULL)
		return;
	tls_handshake_free(opening->tls);
	if (opening->kept != NULL)
		tls_session_wipe(opening_session(opening->kept));
	free(opening->kept);
	free(opening);
}
