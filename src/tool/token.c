/* `roost token`: chooses among its kinds by the first word. */
#include "tool/token.h"

#include "tool/tool.h"

#include <string.h>

int token_main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "inspect") == 0)
		return token_inspect_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "keygen") == 0)
		return token_keygen_main(argc - 1, argv + 1);
	return token_issue_main(argc, argv);
}
