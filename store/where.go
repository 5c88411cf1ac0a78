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
	w.conditions = append(w.conditions, w.fill(condition, args...))
}

// fill puts placeholders of the arguments in place of each ?.
func (w *where) fill(text string, args ...any) string {
	for _, a := range args {
		text = strings.Replace(text, "?", w.arg(a), 1)
	}
	return text
}

// among is the condition that a column is one of the values.
func (w *where) among(tx *Tx, column string, values []string) string {
	if len(values) == 0 {
		return `1 = 0`
	}
	condition, args := tx.in(column, len(w.args)+1, values)
	w.args = append(w.args, args...)
	return condition
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

// shortList is how many values stand in a statement one by one. Taking a list
// of one or two apart would cost the database more than to find them.
const shortList = 8

// inList gives the condition that a column is one of the values, each of its
// arguments a ?. The lengths of short lists are powers of two, so that there are
// few statements; the last value fills up.
func inList[T any](column string, values []T, long func(column string, values []T) (string, any)) (string, []any) {
	if len(values) > shortList {
		condition, arg := long(column, values)
		return condition, []any{arg}
	}
	size := 1
	for size < len(values) {
		size *= 2
	}
	args := make([]any, 0, size+1)
	for i := range size {
		args = append(args, values[min(i, len(values)-1)])
	}
	return column + " IN (" + strings.TrimSuffix(strings.Repeat("?,", size), ",") + ")", args
}

// numbered gives each ? the number of its argument, the first of which is from.
func numbered(sql string, from int) string {
	for ; ; from++ {
		before, after, found := strings.Cut(sql, "?")
		if !found {
			return sql
		}
		sql = before + "$" + strconv.Itoa(from) + after
	}
}

// in is inList of texts, whose arguments are numbered from one on.
func (tx *Tx) in(column string, from int, values []string) (string, []any) {
	condition, args := inList(column, values, tx.longList)
	return numbered(condition, from), args
}

func (tx *Tx) longList(column string, values []string) (string, any) {
	return tx.db.dialect.In(column, "?"), tx.db.dialect.Strings(values)
}

// inNumbers is in of numbers.
func (tx *Tx) inNumbers(column string, from int, values []int64) (string, []any) {
	condition, args := inList(column, values, func(column string, v []int64) (string, any) {
		return tx.db.dialect.In(column, "?"), tx.db.dialect.Numbers(v)
	})
	return numbered(condition, from), args
}

// wordPattern is the pattern of a word in a text in lower case.
func wordPattern(word string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(word)) + "%"
}

// detailPattern is the pattern of an address with a +detail.
func detailPattern(address string) string {
	local, domain, _ := strings.Cut(wordPattern(address), "@")
	return local + "+%@" + domain
}

// like gives the condition that one of some columns fits a pattern in a
// parameter, in whatever case.
func like(param string, columns ...string) string {
	conditions := make([]string, len(columns))
	for i, c := range columns {
		conditions[i] = `lower(` + c + `) LIKE ` + param + ` ESCAPE '\'`
	}
	return strings.Join(conditions, " OR ")
}
