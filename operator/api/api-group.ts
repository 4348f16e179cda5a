export const apiGroup = 'mainstay.dev';
export const apiVersion = 'mainstay.dev/v1alpha1';
