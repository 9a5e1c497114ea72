// Checks Kubernetes manifests as the API server does it first: each object is of a known kind and has no unknown or
// misspelt field, by the types of k8s.io/api. With -values, files are templates of a Helm chart: of Helm's functions
// they may use toYaml, nindent and quote.
//
//	go run . FILE...                        manifests
//	go run . -values VALUES.yaml FILE...    templates of a chart
//
// Prints what is rendered and exits with 1 if anything is wrong.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Kinds that may be there, each as a new object of its type.
var kinds = map[string]func() any{
	"v1/Namespace":      func() any { return &corev1.Namespace{} },
	"v1/ServiceAccount": func() any { return &corev1.ServiceAccount{} },
	"v1/ConfigMap":      func() any { return &corev1.ConfigMap{} },
	"apps/v1/DaemonSet": func() any { return &appsv1.DaemonSet{} },
	"rbac.authorization.k8s.io/v1/ClusterRole":        func() any { return &rbacv1.ClusterRole{} },
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": func() any { return &rbacv1.ClusterRoleBinding{} },
}

func main() {
	values := flag.String("values", "", "values of the chart that the files are templates of")
	flag.Parse()
	faults := 0
	for _, file := range flag.Args() {
		text, err := os.ReadFile(file)
		if err == nil && *values != "" {
			text, err = render(file, text, *values)
			fmt.Printf("---\n%s", text)
		}
		if err == nil {
			err = check(text)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			faults++
		}
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// render does what Helm does with a template that calls no other.
func render(file string, text []byte, valuesFile string) ([]byte, error) {
	written, err := os.ReadFile(valuesFile)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(written, &values); err != nil {
		return nil, err
	}
	functions := template.FuncMap{
		"toYaml": func(value any) (string, error) {
			text, err := yaml.Marshal(value)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"nindent": func(spaces int, text string) string {
			indent := "\n" + strings.Repeat(" ", spaces)
			return indent + strings.ReplaceAll(text, "\n", indent)
		},
		"quote": func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
	}
	parsed, err := template.New(filepath.Base(file)).Funcs(functions).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	release := map[string]any{"Name": "pipeline", "Namespace": "pipeline"}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{"Values": values, "Release": release})
	return out.Bytes(), err
}

func check(text []byte) error {
	for number, document := range strings.Split("\n"+string(text), "\n---") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			return fmt.Errorf("document %d: %w", number, err)
		}
		if kind.Kind == "" {
			continue
		}
		object, known := kinds[kind.APIVersion+"/"+kind.Kind]
		if !known {
			return fmt.Errorf("document %d: %s/%s is not expected here", number, kind.APIVersion, kind.Kind)
		}
		// YAML's own reader does not mind how a field is capitalized; the API server does.
		asJSON, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return fmt.Errorf("document %d, %s: %w", number, kind.Kind, err)
		}
		faults, err := json.UnmarshalStrict(asJSON, object())
		if err := errors.Join(append(faults, err)...); err != nil {
			return fmt.Errorf("document %d, %s: %w", number, kind.Kind, err)
		}
	}
	return nil
}
