{{- define "mainstay.operator" -}}{{ .Release.Name }}-operator{{- end }}
{{- define "mainstay.etcd" -}}{{ .Release.Name }}-etcd{{- end }}

{{/* Image of the operator and the agents: by its digest, if there is one. */}}
{{- define "mainstay.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}
{{- end }}

{{/* Labels that never change: selectors are immutable. */}}
{{- define "mainstay.selector" -}}
app.kubernetes.io/name: mainstay
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "mainstay.labels" -}}
{{ include "mainstay.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mainstay
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* URL of an etcd member: dict root, index, port. Each by its own name, so that a client knows which one is silent. */}}
{{- define "mainstay.etcdMember" -}}
{{- $etcd := include "mainstay.etcd" .root -}}
{{ ternary "https" "http" .root.Values.etcd.secure }}://{{ $etcd }}-{{ .index }}.{{ $etcd }}.{{ .root.Release.Namespace }}.svc:{{ .port }}
{{- end }}

{{- define "mainstay.etcdEndpoints" -}}
{{- if .Values.etcd.endpoints -}}
{{- join "," .Values.etcd.endpoints -}}
{{- else -}}
{{- range $index := until (int .Values.etcd.replicas) -}}
{{- if $index }},{{ end -}}
{{- include "mainstay.etcdMember" (dict "root" $ "index" $index "port" 2379) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What the Pod Security Standard "restricted" asks for. */}}
{{- define "mainstay.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "mainstay.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
