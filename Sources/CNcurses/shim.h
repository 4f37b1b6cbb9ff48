// ncurses with wide characters, and what Swift cannot import of it: macros that are no plain numbers.
#ifndef CHANCERY_NCURSES_SHIM_H
#define CHANCERY_NCURSES_SHIM_H

#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#include <curses.h>

// Of term.h, whose macros have the names of common words.
extern int setupterm(const char *terminal, int descriptor, int *error);
extern char *tigetstr(const char *capability);

static inline attr_t chancery_curses_bold(void) { return A_BOLD; }
static inline attr_t chancery_curses_dim(void) { return A_DIM; }
static inline attr_t chancery_curses_reverse(void) { return A_REVERSE; }
static inline attr_t chancery_curses_underline(void) { return A_UNDERLINE; }

// Sets how what follows looks; pair 0 has the terminal's own colours.
static inline void chancery_curses_set(attr_t attributes, short pair) { attr_set(attributes, pair, NULL); }

// The C library's streams and ncurses' window are global variables, which Swift does not touch. All of these are for
// one thread.

// Begins to use the terminal that is standard input and output; NULL if that cannot be.
static inline SCREEN *chancery_curses_open(void) {
  SCREEN *screen = newterm(NULL, stdout, stdin);
  if (screen == NULL) return NULL;
  cbreak();
  noecho();
  nonl();
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  // Milliseconds after which an escape character is a key and not the beginning of one.
  set_escdelay(25);
  curs_set(0);
  return screen;
}

static inline int chancery_curses_columns(void) { return getmaxx(stdscr); }
static inline int chancery_curses_lines(void) { return getmaxy(stdscr); }

// The next refresh paints every cell.
static inline void chancery_curses_forget(void) { clearok(stdscr, TRUE); }

// A string of the terminal's description, or NULL if it has none (tigetstr says -1 if there is no such string at all).
static inline const char *chancery_curses_string(const char *capability) {
  char *text = tigetstr(capability);
  return text == (char *)-1 ? NULL : text;
}

#endif
