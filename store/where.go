package store

import (
	"strconv"
	"strings"
)

// where collects the conditions of a list's query, with their arguments.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition, each ? of which stands for one of the arguments.
func (w *where) add(condition string, args ...any) {
	for _, a := range args {
		condition = strings.Replace(condition, "?", w.arg(a), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// arg adds an argument and gives its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// after goes on behind a cursor of a list by id, newest first.
func (w *where) after(text, sort string) error {
	c, ok, err := parseCursor(text, sort)
	if ok {
		w.add(`id < ?`, c.ID)
	}
	return err
}

// sql gives the clause; none for no condition.
func (w *where) sql() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// likePart is the pattern that finds a text anywhere in a folded one.
func likePart(text string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(foldText(text))
	return "%" + escaped + "%"
}
