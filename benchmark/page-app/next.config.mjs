export default { serverExternalPackages: ['authjs-bridge'] }
