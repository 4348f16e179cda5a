package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "mainstay.dev/local"

// newLocalProvisionerCommand runs the provisioner of the StorageClass `local`: a volume is a directory under
// NODES/<node>/volumes, as durable as the node's disk, and bound to that node.
func newLocalProvisionerCommand() *cobra.Command {
	var kubeconfig, nodes string
	command := &cobra.Command{
		Use:          "local-provisioner",
		Short:        "Provisions volumes of the StorageClass local as directories of their node",
		SilenceUsage: true,
		RunE: func(_ *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			factory := informers.NewSharedInformerFactory(client, 0)
			if err := expandClaims(ctx, client, factory); err != nil {
				return err
			}
			factory.Start(ctx.Done())
			// One instance only, beside the control plane: no leader election.
			controller.NewProvisionController(ctx, client, provisionerName, &localProvisioner{nodes: nodes},
				controller.LeaderElection(false), controller.MetricsPort(0)).Run(ctx)
			return nil
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&nodes, "nodes", "", "folder with one folder per node")
	return command
}

type localProvisioner struct{ nodes string }

func (p *localProvisioner) Provision(_ context.Context, options controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	if options.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, fmt.Errorf("no node selected: StorageClass %s must bind WaitForFirstConsumer", options.StorageClass.Name)
	}
	if options.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("claim selectors are not supported")
	}
	path := filepath.Join(p.nodes, options.SelectedNodeName, "volumes",
		strings.Join([]string{options.PVC.Namespace, options.PVC.Name, options.PVName}, "_"))
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	// Against the umask. As a new file system would be: root's, until the kubelet gives it to the fsGroup of the Pod.
	if err := os.Chmod(path, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			VolumeMode:                    options.PVC.Spec.VolumeMode,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: options.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: path}},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{
					Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{options.SelectedNodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

func (p *localProvisioner) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	local := volume.Spec.Local
	if local == nil || !strings.HasPrefix(filepath.Clean(local.Path), filepath.Clean(p.nodes)+string(filepath.Separator)) {
		return &controller.IgnoredError{Reason: "not a directory of this cluster"}
	}
	return os.RemoveAll(local.Path)
}

// expandClaims grants every larger request at once: a directory has no size of its own, so only the numbers change.
func expandClaims(ctx context.Context, client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	expand := func(object any) {
		claim, ok := object.(*v1.PersistentVolumeClaim)
		if !ok || claim.Status.Phase != v1.ClaimBound {
			return
		}
		wanted, has := claim.Spec.Resources.Requests[v1.ResourceStorage], claim.Status.Capacity[v1.ResourceStorage]
		if wanted.Cmp(has) <= 0 {
			return
		}
		volume, err := client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		if err != nil || volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisionerName {
			return
		}
		capacity := map[string]any{"capacity": map[string]string{"storage": wanted.String()}}
		grown, _ := json.Marshal(map[string]any{"spec": capacity})
		if _, err := client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType, grown, metav1.PatchOptions{}); err != nil {
			klog.ErrorS(err, "Volume not expanded", "volume", volume.Name)
			return
		}
		status, _ := json.Marshal(map[string]any{"status": capacity})
		if _, err := client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
			klog.ErrorS(err, "Claim not expanded", "claim", klog.KObj(claim))
		}
	}
	_, err := factory.Core().V1().PersistentVolumeClaims().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    expand,
		UpdateFunc: func(_, object any) { expand(object) },
	})
	return err
}
