#pragma once
#include <traceevent/event-parse.h>
