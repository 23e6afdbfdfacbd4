package render

import (
	"encoding/json"
	"fmt"
	"strings"
)

// part of a text is an expression, or stands for itself.
type part struct {
	text       string
	expression bool
}

// parts takes a text apart. What stands in ${…} and speaks of cluster. is an expression; other variables, such as a shell's, are
// text. $${…} is ${…} as it stands, of what would be one.
func parts(text string) (all []part, err error) {
	var plain strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		inside, ok := closed(text[i+2:])
		whole := i + 2 + len(inside) + 1
		switch {
		case !ok && strings.HasPrefix(text[i:], "${cluster."):
			return nil, fmt.Errorf("%.40q has no closing brace", text[i:])
		case !ok || !strings.Contains(inside, "cluster."):
			plain.WriteString(text[:i+2])
			text = text[i+2:]
		case i > 0 && text[i-1] == '$':
			plain.WriteString(text[:i-1] + text[i:whole])
			text = text[whole:]
		default:
			plain.WriteString(text[:i])
			if plain.Len() > 0 {
				all = append(all, part{text: plain.String()})
				plain.Reset()
			}
			all, text = append(all, part{text: inside, expression: true}), text[whole:]
		}
	}
	if plain.WriteString(text); plain.Len() > 0 {
		all = append(all, part{text: plain.String()})
	}
	return all, nil
}

// closed is a text up to the brace that closes it. Braces within, and in quotes, are its own.
func closed(text string) (string, bool) {
	depth, quote := 1, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return text[:i], true
			}
		}
	}
	return "", false
}

// fill replaces the expressions in the strings of a value by what they came to. Keys are left as they are.
func (s *scene) fill(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			if v[key], err = s.fill(v[key]); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if v[i], err = s.fill(v[i]); err != nil {
				return nil, err
			}
		}
	case string:
		return s.fillString(v)
	}
	return value, nil
}

// fillString gives a value that is one expression its own type.
func (s *scene) fillString(text string) (any, error) {
	all, err := parts(text)
	if err != nil {
		return nil, err
	}
	if len(all) == 1 && all[0].expression {
		return s.value(all[0].text)
	}
	return s.join(all)
}

func (s *scene) fillText(text string) (string, error) {
	all, err := parts(text)
	if err != nil {
		return "", err
	}
	return s.join(all)
}

func (s *scene) join(all []part) (string, error) {
	var out strings.Builder
	for _, p := range all {
		if !p.expression {
			out.WriteString(p.text)
			continue
		}
		value, err := s.value(p.text)
		if err != nil {
			return "", err
		}
		if text, ok := value.(string); ok {
			out.WriteString(text)
			continue
		}
		data, err := json.Marshal(value)
		if err != nil {
			return "", fmt.Errorf("write %s: %w", p.text, err)
		}
		out.Write(data)
	}
	return out.String(), nil
}

// value is what an expression came to.
func (s *scene) value(expression string) (any, error) {
	frozen, ok := s.values[expression]
	switch {
	case !ok:
		return nil, fmt.Errorf("${%s} was not evaluated with the grant", expression)
	case frozen.Error != "":
		return nil, fmt.Errorf("${%s}: %s", expression, frozen.Error)
	}
	value, err := frozen.Value()
	if err != nil {
		return nil, fmt.Errorf("${%s} is frozen as no JSON: %w", expression, err)
	}
	return value, nil
}
